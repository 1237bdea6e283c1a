//! Log lines as Lambda's readers expect them: one JSON object a line, with the keys that Powertools
//! for AWS Lambda writes, and the context of all open spans beside the event's own fields.

use std::fmt;
use std::io::Write;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;

/// Longest text of a field, in characters: nothing a log says needs more.
const TEXT_MAX: usize = 2048;

/// Writes events to standard output.
#[derive(Debug)]
pub(super) struct JsonLines {
    /// On every line: service, function name and the like.
    bound: Map<String, Value>,
}

impl JsonLines {
    /// With these fields on every line.
    pub(super) fn new(bound: Map<String, Value>) -> JsonLines {
        JsonLines { bound }
    }

    fn line(&self, event: &Event<'_>, spans: impl Iterator<Item = Map<String, Value>>) -> Value {
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("level".into(), json!(metadata.level().as_str()));
        let location = (metadata.file().unwrap_or("unknown"), metadata.line().unwrap_or(0));
        line.insert("location".into(), json!(format!("{}:{}", location.0, location.1)));
        line.insert("message".into(), json!(""));
        line.insert("timestamp".into(), json!(Clock::system().now_rfc3339()));
        line.extend(self.bound.clone());
        spans.for_each(|fields| line.extend(fields));
        event.record(&mut Fields(&mut line));
        Value::Object(line)
    }
}

/// A span's fields, kept with the span.
struct SpanFields(Map<String, Value>);

impl<S> Layer<S> for JsonLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Fields(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            record.record(&mut Fields(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let scope = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = scope.filter_map(|span| {
            span.extensions().get::<SpanFields>().map(|fields| fields.0.clone())
        });
        let line = self.line(event, spans);
        // A line that cannot be written is no reason to fail a row.
        drop(writeln!(std::io::stdout().lock(), "{line}"));
    }
}

/// Collects fields into a JSON object.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text: String = value.chars().take(TEXT_MAX).collect();
        self.put(field, json!(text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps what would be written.
    struct Kept(JsonLines, Arc<Mutex<Vec<Value>>>);

    impl<S> Layer<S> for Kept
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            self.0.on_new_span(attributes, id, context);
        }

        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            let scope = context.event_scope(event).unwrap().from_root();
            let spans = scope.map(|s| s.extensions().get::<SpanFields>().unwrap().0.clone());
            let line = self.0.line(event, spans.collect::<Vec<_>>().into_iter());
            self.1.lock().unwrap().push(line);
        }
    }

    #[test]
    fn a_line_carries_the_context_of_its_spans_and_escapes_control_characters() {
        let bound = Map::from_iter([("service".to_owned(), json!("orders"))]);
        let lines = Arc::default();
        let layer = Kept(JsonLines::new(bound), Arc::clone(&lines));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("chunk", job = "j1", chunk = 3_u32);
            span.in_scope(|| tracing::info!(rows_read = 7, "chunk\n{{\"level\":\"FATAL\"}}"));
        });
        let lines = lines.lock().unwrap();
        let line = &lines[0];
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["service"], "orders");
        assert_eq!((&line["job"], &line["chunk"]), (&json!("j1"), &json!(3)));
        assert_eq!(line["rows_read"], 7);
        assert!(!line.to_string().contains('\n'), "{line}");
    }
}
