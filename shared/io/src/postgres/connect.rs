//! From a pipeline's `dsn` to connections: secrets, tokens, certificates, and a small pool.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rowproof_core::pipeline::Dsn;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Fault, PostgresError, setup};
use super::token::iam_token;
use crate::aws::clients::Clients;
use crate::clock::Clock;
use crate::settings::read_env;

/// Connections of one function to one database.
const POOL_MAX: usize = 4;
/// To find, open or check a connection.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// Bytes that are sent and not acknowledged for so long: the way there is broken.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// The databases of pipelines, by their `dsn`.
pub struct Databases {
    clients: Clients,
    clock: Clock,
    pools: Mutex<HashMap<String, Pool>>,
}

impl fmt::Debug for Databases {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Databases")
    }
}

impl Databases {
    /// None connected yet.
    pub fn new(clients: &Clients, clock: Clock) -> Databases {
        Databases { clients: clients.clone(), clock, pools: Mutex::default() }
    }

    /// A connection that answers.
    ///
    /// # Errors
    /// The secret cannot be read, or the server cannot be reached or does not let us in.
    pub async fn connection(&self, dsn: &Dsn) -> Result<Object, PostgresError> {
        let name = format!("{dsn:?}");
        let held = self.pools.lock().await.get(&name).cloned();
        if let Some(pool) = held {
            match pool.get().await {
                Ok(connection) => return Ok(connection),
                // The password may have been changed, or a token is over: read it again, once.
                Err(_) => drop(self.pools.lock().await.remove(&name)),
            }
        }
        let place = self.resolve(dsn).await?;
        let pool = place.pool()?;
        let connection = pool.get().await.map_err(|error| refused(&place, error))?;
        self.pools.lock().await.insert(name, pool);
        Ok(connection)
    }

    pub(crate) async fn resolve(&self, dsn: &Dsn) -> Result<Place, PostgresError> {
        match dsn {
            Dsn::Env(name) => {
                let text = read_env(name).ok_or_else(|| {
                    setup(format!("dsn = \"env:{name}\": there is no variable {name}"))
                })?;
                Place::parse(&format!("variable {name}"), &text)
            }
            Dsn::Secret(name) => {
                let secret = self.clients.secrets.get_secret_value().secret_id(name).send().await;
                let secret = secret.map_err(|error| {
                    let error = crate::aws::error::AwsError::of("GetSecretValue", error);
                    let fault = if error.class().passes() { Fault::Passing } else { Fault::Setup };
                    PostgresError::new(fault, format!("secret {name}"), error.to_string())
                })?;
                Place::of_secret(name, secret.secret_string().unwrap_or_default())
            }
            Dsn::Iam(place) => {
                let mut place = Place::parse("dsn", &format!("postgres://{place}"))?;
                place.check_mode("verify-full")?;
                let now = UNIX_EPOCH + Duration::from_millis(self.clock.now_ms());
                let token = iam_token(&self.clients.config, &place.config, now).await?;
                place.config.password(token);
                Ok(place)
            }
        }
    }
}

/// Where a database is, and how to get in.
pub(crate) struct Place {
    config: Config,
    tls: bool,
    roots: Option<PathBuf>,
}

/// A secret as RDS keeps it.
#[derive(Deserialize)]
struct RdsSecret {
    username: String,
    password: String,
    host: String,
    port: Option<u16>,
    #[serde(alias = "dbname", alias = "dbName")]
    database: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<PathBuf>,
}

impl Place {
    fn of_secret(name: &str, text: &str) -> Result<Place, PostgresError> {
        if !text.trim_start().starts_with('{') {
            return Place::parse(&format!("secret {name}"), text);
        }
        let secret: RdsSecret = serde_json::from_str(text).map_err(|_| {
            // The error would quote the text.
            setup(format!("secret {name} needs username, password, host, and port and dbname"))
        })?;
        let mut config = Config::new();
        config.user(&secret.username).password(&secret.password).host(&secret.host);
        config.port(secret.port.unwrap_or(5432));
        config.dbname(secret.database.as_deref().unwrap_or("postgres"));
        let mut place = Place { config, tls: true, roots: secret.sslrootcert };
        place.choose_tls(secret.sslmode.as_deref())?;
        Ok(place)
    }

    /// Reads a connection string, a URL or `key=value` pairs, which `from` holds.
    pub(crate) fn parse(from: &str, text: &str) -> Result<Place, PostgresError> {
        let (text, options) = take_tls_options(text);
        let config = Config::from_str(&text).map_err(|error| {
            // What the error quotes may be a part of a password.
            let cause = error.to_string();
            let cause = cause.split(['`', '"', '\'']).next().unwrap_or_default().trim_end();
            setup(format!(
                "{from} holds no connection string ({cause}): write \
                 postgres://user:password@host:5432/database, with special characters of the \
                 password as %XX, or host=.. user=.. password=.. dbname=.."
            ))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            let what =
                "is empty or names no host: write postgres://user:password@host:5432/database";
            return Err(setup(format!("{from} {what}")));
        }
        let option =
            |name: &str| options.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
        let mut place =
            Place { config, tls: true, roots: option("sslrootcert").map(PathBuf::from) };
        place.choose_tls(option("sslmode"))?;
        Ok(place)
    }

    fn is_here(&self) -> bool {
        let hosts = self.config.get_hosts();
        !hosts.is_empty()
            && hosts.iter().all(|host| match host {
                Host::Tcp(name) => {
                    name == "localhost"
                        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
                }
                #[cfg(unix)]
                Host::Unix(_) => true,
            })
    }

    fn choose_tls(&mut self, mode: Option<&str>) -> Result<(), PostgresError> {
        let mode = mode.unwrap_or(if self.is_here() { "disable" } else { "verify-full" });
        self.check_mode(mode)
    }

    fn check_mode(&mut self, mode: &str) -> Result<(), PostgresError> {
        self.tls = match mode {
            "disable" => false,
            // There is no way to encrypt without knowing to whom.
            "require" | "verify-ca" | "verify-full" => true,
            other => {
                return Err(setup(format!(
                    "sslmode={other} may fall back to an open connection: write verify-full, or \
                     disable for a server on this machine"
                )));
            }
        };
        let required = if self.tls { SslMode::Require } else { SslMode::Disable };
        self.config.ssl_mode(required);
        Ok(())
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls
    }

    /// What a session is opened with.
    pub(crate) fn session(&self) -> Config {
        let mut config = self.config.clone();
        config
            .application_name("rowproof")
            .connect_timeout(CONNECT)
            .keepalives_idle(UNACKNOWLEDGED)
            .tcp_user_timeout(UNACKNOWLEDGED);
        config
    }

    /// As libpq has it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let host = self.config.get_hosts().first().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let port = self.config.get_ports().first().map(u16::to_string);
        let password = self.config.get_password();
        let password = password.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let roots = self.roots.as_ref().map(|path| path.display().to_string());
        let tls = self.tls.then(|| roots.unwrap_or_else(|| "system".to_owned()));
        let mode = if self.tls { "verify-full" } else { "disable" };
        let all = [
            ("PGHOST", host),
            ("PGPORT", port),
            ("PGUSER", self.config.get_user().map(str::to_owned)),
            ("PGDATABASE", self.config.get_dbname().map(str::to_owned)),
            ("PGPASSWORD", password),
            ("PGSSLMODE", Some(mode.to_owned())),
            ("PGSSLROOTCERT", tls),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn pool(&self) -> Result<Pool, PostgresError> {
        let config = self.session();
        // A connection that slept with its function may be dead: it has to answer first.
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = match self.tls {
            true => Manager::from_config(config, self.connector()?, manager),
            false => Manager::from_config(config, NoTls, manager),
        };
        let pool = Pool::builder(manager)
            .max_size(POOL_MAX)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(CONNECT))
            .build();
        pool.map_err(|error| setup(error.to_string()))
    }

    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, PostgresError> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(path) => {
                let bad = |what: String| setup(format!("sslrootcert {}: {what}", path.display()));
                let read = CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))?;
                for certificate in read {
                    let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                    roots.add(certificate).map_err(|error| bad(error.to_string()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(setup("no certificate authority is known: give one by sslrootcert".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(error.to_string()))?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    /// `user@host:port/database`
    pub(crate) fn name(&self) -> String {
        let host = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!(
            "{}@{}:{port}/{}",
            self.config.get_user().unwrap_or_default(),
            host.collect::<Vec<_>>().join(","),
            self.config.get_dbname().unwrap_or_default()
        )
    }
}

/// The driver knows three values of `sslmode` and no `sslrootcert`: they are read here.
fn take_tls_options(text: &str) -> (String, Vec<(String, String)>) {
    let mut options = vec![];
    let mut keep = |pair: &&str| match pair.split_once('=') {
        Some((key @ ("sslmode" | "sslrootcert"), value)) => {
            options.push((key.to_owned(), value.trim_matches('\'').to_owned()));
            false
        }
        Some(_) | None => true,
    };
    let rest = match text.split_once('?') {
        Some((place, query)) => {
            let kept: Vec<_> = query.split('&').filter(&mut keep).collect();
            format!("{place}?{}", kept.join("&"))
        }
        None if text.contains("://") => text.to_owned(),
        None => text.split_whitespace().filter(&mut keep).collect::<Vec<_>>().join(" "),
    };
    (rest, options)
}

fn refused(place: &Place, error: deadpool_postgres::PoolError) -> PostgresError {
    use deadpool_postgres::PoolError;
    let doing = format!("connect to {}", place.name());
    match error {
        PoolError::Backend(error) => PostgresError::of(&doing, &error),
        PoolError::Timeout(_) => PostgresError::late(&doing, CONNECT.as_secs()),
        other @ (PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(_)) => {
            PostgresError::new(Fault::Passing, doing, other.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_off_only_here_or_when_told() {
        for (text, tls) in [
            ("postgres://u:p@db.example.com/x", true),
            ("postgres://u:p@db.example.com/x?sslmode=require", true),
            ("postgres://u:p@db.example.com/x?application_name=a&sslmode=disable", false),
            ("postgres://u:p@127.0.0.1:5433/x", false),
            ("postgres://u:p@localhost/x?sslmode=verify-full", true),
            ("host=db.example.com user=u sslmode=verify-ca", true),
            ("host=/tmp user=u", false),
        ] {
            let place = Place::parse("x", text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(place.tls, tls, "{text}");
        }
        for mode in ["prefer", "allow", "off"] {
            let text = format!("postgres://u:hunter2@db/x?sslmode={mode}");
            let error = Place::parse("x", &text).err().unwrap().to_string();
            assert!(error.contains("verify-full") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_no_connection_string_is_said_without_its_text() {
        for text in
            ["hunter2", "postgres:/hunter2", "host=db hunter2", "postgres://u:p@h:hunter2/x"]
        {
            let error = Place::parse("variable ROWS", text).err().unwrap().to_string();
            assert!(error.contains("variable ROWS holds no connection string"), "{error}");
            assert!(error.contains("postgres://user:") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_secret_is_read_in_both_forms() {
        let json = r#"{"engine":"postgres","username":"u","password":"hunter2","host":"db",
                       "port":6432,"dbname":"x"}"#;
        let place = Place::of_secret("s", json).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(place.name(), "u@db:6432/x");
        assert!(place.tls);
        let url = Place::of_secret("s", "postgres://u:hunter2@db:6432/x");
        assert_eq!(url.unwrap_or_else(|error| panic!("{error}")).name(), "u@db:6432/x");
        let error = Place::of_secret("s", r#"{"password":"hunter2"}"#).err().unwrap();
        assert!(!error.to_string().contains("hunter2"));
    }
}
