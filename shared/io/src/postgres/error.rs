//! What went wrong in Postgres, by meaning. The texts are ours: a driver's text of a refused row holds its
//! values.

use thiserror::Error;
use tokio_postgres::error::DbError;

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A row is refused: a constraint, a type, a trigger.
    Row,
    /// The server or the way to it: later, the same goes through.
    Passing,
    /// Somebody has to set something up: a right, a table, a password.
    Setup,
}

/// A call to Postgres that failed.
#[derive(Debug, Clone, Error)]
#[error("{doing}: {what}")]
pub struct PostgresError {
    /// What was tried.
    pub doing: String,
    /// What came of it, in words.
    pub what: String,
    /// What it means.
    pub fault: Fault,
    /// What the server's answer named.
    names: Option<Box<Names>>,
}

/// Names in an answer of the server.
#[derive(Debug, Clone)]
struct Names {
    state: String,
    constraint: Option<String>,
    column: Option<String>,
}

impl PostgresError {
    /// Without a server's answer.
    pub fn new(fault: Fault, doing: impl Into<String>, what: impl Into<String>) -> PostgresError {
        PostgresError { doing: doing.into(), what: what.into(), fault, names: None }
    }

    /// The meaning of a driver's error.
    pub fn of(doing: &str, error: &tokio_postgres::Error) -> PostgresError {
        let Some(answer) = error.as_db_error() else {
            if let Some(what) = refused_by_tls(error) {
                return PostgresError::new(Fault::Setup, doing, what);
            }
            let what = match error.is_closed() {
                true => "the connection was lost".to_owned(),
                false => innermost(error),
            };
            return PostgresError::new(Fault::Passing, doing, what);
        };
        let state = answer.code().code();
        let fault = fault(state);
        let names = Names {
            state: state.to_owned(),
            constraint: answer.constraint().map(str::to_owned),
            column: answer.column().map(str::to_owned),
        };
        let (doing, what) = (doing.to_owned(), words(state, fault, answer));
        PostgresError { doing, what, fault, names: Some(Box::new(names)) }
    }

    /// No answer within this time.
    pub fn late(doing: &str, seconds: u64) -> PostgresError {
        let what = format!("no answer within {seconds} s");
        PostgresError::new(Fault::Passing, doing, what)
    }

    /// SQLSTATE, when the server answered.
    pub fn state(&self) -> Option<&str> {
        self.names.as_ref().map(|names| names.state.as_str())
    }

    /// Name of the constraint that a row breaks.
    pub(crate) fn constraint(&self) -> Option<&str> {
        self.names.as_ref()?.constraint.as_deref()
    }

    /// Name of the column at fault.
    pub(crate) fn column(&self) -> Option<&str> {
        self.names.as_ref()?.column.as_deref()
    }
}

/// What a SQLSTATE means (PostgreSQL manual, appendix A).
fn fault(state: &str) -> Fault {
    match state.get(..2).unwrap_or_default() {
        // Data exception, integrity constraint, cardinality, WITH CHECK OPTION, raised by a trigger.
        "22" | "23" | "21" | "44" | "P0" => Fault::Row,
        // Connection, rollback, resources, operator intervention, system, and 55: not in the state for
        // it, 25: transaction state (a read-only standby after a failover).
        "08" | "40" | "53" | "57" | "58" | "55" | "25" | "XX" => Fault::Passing,
        _ => Fault::Setup,
    }
}

fn words(state: &str, fault: Fault, answer: &DbError) -> String {
    let known = match state {
        "23502" => "a value is required",
        "23503" => "it refers to a row that is not there",
        "23505" => "another row has the same value",
        "23514" => "a check does not hold",
        "22001" => "the text is too long",
        "22003" => "the number is out of range",
        "22P02" => "the text is no value of the column's type",
        "25006" => "the server takes no writes (a standby, or a failover under way)",
        "57P01" | "57P02" => "the server is shutting down",
        "57P03" => "the server is starting up",
        "57014" => "the statement was cancelled or took too long",
        "53300" => "the server has no connection left",
        "55P03" => "a lock could not be had in time",
        "40P01" => "a deadlock",
        "28P01" => "the password is refused",
        "28000" => "the user may not log in",
        "3D000" => "there is no such database",
        "42501" => "a right is missing",
        "42P01" => "a table is missing",
        "P0001" => "a function or trigger refuses",
        _ if fault == Fault::Row => "the row is refused",
        _ => "refused",
    };
    let mut text = format!("{known} (SQLSTATE {state})");
    if let Some(place) = answer.where_().and_then(raised_at) {
        text.push_str(&format!(
            ", raised by {place}: its text may hold values and is in the server's log"
        ));
    }
    for (what, name) in [("constraint", answer.constraint()), ("column", answer.column())] {
        if let Some(name) = name {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    // Texts of these name objects of the database, never a row's values.
    if fault != Fault::Row {
        text.push_str(&format!(": {}", answer.message()));
    }
    // What hangs on an object, by name.
    if let Some(detail) = answer.detail().filter(|_| state == "2BP01") {
        text.push_str(&format!(" ({})", detail.lines().collect::<Vec<_>>().join("; ")));
    }
    text
}

/// The function and line of a RAISE, from the context of an error. The rest of a context may quote statements.
fn raised_at(context: &str) -> Option<&str> {
    let place = context.lines().next()?.strip_suffix(" at RAISE")?;
    place.starts_with("PL/pgSQL function ").then_some(place)
}

/// What is wrong when both sides answer and do not agree on an encrypted session: later is no better.
fn refused_by_tls(error: &tokio_postgres::Error) -> Option<String> {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = next {
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let wrapped = wrapped.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(refusal) = current.downcast_ref::<rustls::Error>().or(wrapped) {
            return Some(format!(
                "{refusal}: the server's certificate has to be for this host, by an authority of this system's or \
                 of sslrootcert"
            ));
        }
        // The driver's own words.
        if current.to_string() == "server does not support TLS" {
            let what = "the server has no TLS: turn it on there, or write sslmode=disable if that is meant";
            return Some(what.to_owned());
        }
        next = current.source();
    }
    None
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

/// A connection that cannot be made as it is set up.
pub(crate) fn setup(what: String) -> PostgresError {
    PostgresError::new(Fault::Setup, "connect to Postgres", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_context_only_the_place_of_a_raise_is_told() {
        let raised =
            "PL/pgSQL function fill_tier() line 3 at RAISE\nSQL statement \"UPDATE t SET a = 'x'\"";
        assert_eq!(raised_at(raised), Some("PL/pgSQL function fill_tier() line 3"));
        for other in [
            "SQL statement \"UPDATE t SET a = 'x'\"\nPL/pgSQL function f() line 1 at RAISE",
            "COPY t, line 1: \"x at RAISE",
            "PL/pgSQL function f() line 2 at SQL statement",
            "",
        ] {
            assert_eq!(raised_at(other), None, "{other}");
        }
    }
}
