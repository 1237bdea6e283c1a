//! DynamoDB: dynoxide in this process, on a port of its own or called directly.

use std::path::Path;

use bytes::Bytes;
use dynoxide::{Database, DynoxideError, server};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::LocalError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// DynamoDB takes requests of 16 MB.
const REQUEST_BYTES_MAX: usize = 17 << 20;

/// A running server.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) task: JoinHandle<Result<(), String>>,
}

impl DynamoDb {
    /// Keeps its tables in `file`, or in memory.
    pub(crate) async fn start(
        file: Option<&Path>,
        stop: CancellationToken,
    ) -> Result<Self, LocalError> {
        let database = match file {
            Some(path) => open(path).map_err(|error| refused(Some(path), &error))?,
            None => Database::memory().map_err(|error| refused(None, &error))?,
        };
        let bind = |error| LocalError::Bind { port: 0, error };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let task =
            tokio::spawn(server::serve_with_shutdown(listener, database, stop.cancelled_owned()));
        Ok(Self { address, task })
    }
}

/// Where requests that came to the common port go.
#[derive(Clone)]
pub(crate) enum Tables {
    /// To the port of its own.
    Port(Box<Forward>),
    /// Straight to the database: no socket, and none of the checks that a server makes of requests.
    Here(Database),
}

impl Tables {
    /// Tables in memory, called directly.
    pub(crate) fn in_process() -> Result<Self, LocalError> {
        Ok(Self::Here(Database::memory().map_err(|error| refused(None, &error))?))
    }

    pub(crate) async fn send<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let sent = match self {
            Self::Port(forward) => forward.send(request).await,
            Self::Here(database) => here(database, request).await,
        };
        sent.unwrap_or_else(|error| {
            let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    }
}

fn refused(file: Option<&Path>, error: &DynoxideError) -> LocalError {
    LocalError::DynamoDb { file: file.map(Path::to_owned), error: error.to_string() }
}

fn open(path: &Path) -> Result<Database, DynoxideError> {
    let database = Database::new(&path.to_string_lossy())?;
    drop_half_made(&database)?;
    Ok(database)
}

/// A table is made in several steps: its description, its rows, each index. Of a process that was killed
/// between two of them a table stays that is there to those who would make it and not to those who
/// would use it. Nobody was told that it was made, so nothing was stored in it: it goes.
fn drop_half_made(database: &Database) -> Result<(), DynoxideError> {
    let mut after = None;
    loop {
        let page: Value =
            call(database, "ListTables", &json!({ "ExclusiveStartTableName": after }))?;
        for table in page.get("TableNames").and_then(Value::as_array).into_iter().flatten() {
            if !is_whole(database, table)? {
                tracing::info!(%table, "a table that was being made when its process ended goes");
                call(database, "DeleteTable", &json!({ "TableName": table }))?;
            }
        }
        after = page.get("LastEvaluatedTableName").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Whether a table and its indexes can be read. One that has rows counts as such.
fn is_whole(database: &Database, table: &Value) -> Result<bool, DynoxideError> {
    let scan = |index: Option<&str>| {
        let mut ask = json!({ "TableName": table, "Limit": 1 });
        if let (Some(index), Some(fields)) = (index, ask.as_object_mut()) {
            fields.insert("IndexName".to_owned(), index.into());
        }
        match call(database, "Scan", &ask) {
            Ok(page) => Ok(Some(page.get("Count").and_then(Value::as_u64).unwrap_or(0))),
            Err(error) if error.to_string().contains("no such table") => Ok(None),
            Err(error) => Err(error),
        }
    };
    match scan(None)? {
        None => return Ok(false),
        Some(0) => {}
        Some(_) => return Ok(true),
    }
    let described = call(database, "DescribeTable", &json!({ "TableName": table }))?;
    for kind in ["/Table/GlobalSecondaryIndexes", "/Table/LocalSecondaryIndexes"] {
        for index in described.pointer(kind).and_then(Value::as_array).into_iter().flatten() {
            if scan(index.get("IndexName").and_then(Value::as_str))?.is_none() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn call(database: &Database, operation: &str, input: &Value) -> Result<Value, DynoxideError> {
    let bad = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    serde_json::from_str(&run(database, operation, &input.to_string())?).map_err(bad)
}

async fn here<B>(
    database: &Database,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target.and_then(|target| target.split('.').next_back()).unwrap_or_default();
    let operation = operation.to_owned();
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await?.to_bytes();
    let (status, text) = match run(database, &operation, std::str::from_utf8(&body)?) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::from_u16(error.status_code())?, error.to_json()),
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(Bytes::from(text)))?;
    Ok(response)
}

fn run(database: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
    match operation {
        "CreateTable" => typed(body, |input| database.create_table(input)),
        "DeleteTable" => typed(body, |input| database.delete_table(input)),
        "ListTables" => typed(body, |input| database.list_tables(input)),
        "DescribeTable" => typed(body, |input| database.describe_table(input)),
        "UpdateTimeToLive" => typed(body, |input| database.update_time_to_live(input)),
        "GetItem" => typed(body, |input| database.get_item(input)),
        "PutItem" => typed(body, |input| database.put_item(input)),
        "UpdateItem" => typed(body, |input| database.update_item(input)),
        "DeleteItem" => typed(body, |input| database.delete_item(input)),
        "Query" => typed(body, |input| database.query(input)),
        "Scan" => typed(body, |input| database.scan(input)),
        "BatchGetItem" => typed(body, |input| database.batch_get_item(input)),
        "TransactWriteItems" => typed(body, |input| database.transact_write_items(input)),
        other => Err(DynoxideError::ValidationException(format!(
            "{other} is not answered in process; call it at the port"
        ))),
    }
}

fn typed<Input: DeserializeOwned, Output: Serialize>(
    body: &str,
    run: impl FnOnce(Input) -> Result<Output, DynoxideError>,
) -> Result<String, DynoxideError> {
    let bad = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    let output = run(serde_json::from_str(body).map_err(bad)?)?;
    serde_json::to_string(&output).map_err(bad)
}

/// Hands a request on that came to the common port.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    client: Client<HttpConnector, Full<Bytes>>,
    address: std::net::SocketAddr,
}

impl Forward {
    pub(crate) fn new(address: std::net::SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, address }
    }

    async fn send<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, BoxError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("http://{}{path}", self.address).parse()?;
        let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await?.to_bytes();
        let response = self.client.request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

#[cfg(test)]
mod tests {
    use dynoxide::storage::{CreateTableMetadata, Storage};

    use super::*;

    const KEYS: &str = r#"[{"AttributeName":"pk","KeyType":"HASH"}]"#;
    const ATTRIBUTES: &str = r#"[{"AttributeName":"pk","AttributeType":"S"},
        {"AttributeName":"due","AttributeType":"S"}]"#;
    const INDEXES: &str = r#"[{"IndexName":"due","Projection":{"ProjectionType":"ALL"},
        "KeySchema":[{"AttributeName":"due","KeyType":"HASH"}]}]"#;

    fn create(database: &Database) -> Result<Value, DynoxideError> {
        let parsed = |text| serde_json::from_str::<Value>(text).unwrap();
        let input = json!({
            "TableName": "jobs",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": parsed(KEYS),
            "AttributeDefinitions": parsed(ATTRIBUTES),
            "GlobalSecondaryIndexes": parsed(INDEXES),
        });
        call(database, "CreateTable", &input)
    }

    /// A file as a process leaves it that is killed after so many steps of making a table.
    fn killed_after(steps: usize, path: &Path) {
        let storage = Storage::new(&path.to_string_lossy()).unwrap();
        let described = CreateTableMetadata {
            table_name: "jobs",
            key_schema: KEYS,
            attribute_definitions: ATTRIBUTES,
            gsi_definitions: Some(INDEXES),
            lsi_definitions: None,
            provisioned_throughput: None,
            created_at: 0,
            sse_specification: None,
            table_class: None,
            deletion_protection_enabled: false,
            billing_mode: Some("PAY_PER_REQUEST"),
            on_demand_throughput: None,
            vector_index_definitions: None,
        };
        storage.insert_table_metadata(&described).unwrap();
        if steps > 1 {
            storage.create_data_table("jobs").unwrap();
        }
    }

    #[test]
    fn a_table_that_was_being_made_in_a_kill_can_be_made_again() {
        for steps in [1, 2] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ledger.db");
            killed_after(steps, &path);
            let database = open(&path).unwrap();
            create(&database).unwrap();
            let item = json!({ "pk": { "S": "a" }, "due": { "S": "b" } });
            call(&database, "PutItem", &json!({ "TableName": "jobs", "Item": item })).unwrap();
            let ask = json!({ "TableName": "jobs", "IndexName": "due" });
            assert_eq!(call(&database, "Scan", &ask).unwrap()["Count"], 1, "{steps}");
        }
    }

    #[test]
    fn a_whole_table_stays_with_or_without_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        create(&open(&path).unwrap()).unwrap();
        let database = open(&path).unwrap();
        let item = json!({ "pk": { "S": "a" } });
        call(&database, "PutItem", &json!({ "TableName": "jobs", "Item": item })).unwrap();
        drop(database);
        let database = open(&path).unwrap();
        assert_eq!(call(&database, "Scan", &json!({ "TableName": "jobs" })).unwrap()["Count"], 1);
        // Making it again is refused, as it is there.
        create(&database).unwrap_err();
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        std::fs::write(&path, "x".repeat(5_000)).unwrap();
        let error = refused(Some(&path), &open(&path).err().unwrap()).to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
