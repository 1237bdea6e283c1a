//! A database's password comes from Secrets Manager, and is read again when it was changed.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rowproof_core::pipeline::Dsn;
use rowproof_io::aws::clients::Clients;
use rowproof_io::clock::Clock;
use rowproof_io::postgres::{Databases, Fault};
use rowproof_local::{ACCESS_KEY, REGION, SECRET_KEY};
use tokio::net::TcpListener;

use super::support::postgres::Postgres;

/// Answers every call as `GetSecretValue` does, with this text. The local AWS has no secrets.
async fn secrets(secret: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let secret = secret.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
                assert_eq!(target, "secretsmanager.GetSecretValue");
                let text = secret.lock().unwrap().clone();
                let body = serde_json::json!({ "Name": "prod/rows", "SecretString": text });
                let response =
                    Response::builder().header("content-type", "application/x-amz-json-1.1");
                let response = response.body(Full::new(Bytes::from(body.to_string()))).unwrap();
                async { Ok::<_, Infallible>(response) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
        }
    });
    url
}

fn secret(port: u16, password: &str) -> String {
    serde_json::json!({ "engine": "postgres", "username": "loader", "password": password,
        "host": "127.0.0.1", "port": port, "dbname": "rows" })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_read_from_its_secret_and_again_when_it_was_changed() {
    let postgres = Postgres::start().await;
    postgres.ask_for_passwords("loader").await;
    let look = postgres.look().await;
    look.batch_execute("CREATE ROLE loader LOGIN PASSWORD 'first one'").await.unwrap();
    let held = Arc::new(Mutex::new(secret(postgres.port, "first one")));
    let url = secrets(held.clone()).await;
    let clients = Clients::local(&url, REGION, ACCESS_KEY, SECRET_KEY);
    let databases = Databases::new(&clients, Clock::system());
    let dsn = Dsn::Secret("prod/rows".into());
    let connection = databases.connection(&dsn).await.unwrap();
    let row = connection.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "loader");
    drop(connection);

    // A rotation ends the sessions of before.
    look.batch_execute("ALTER ROLE loader PASSWORD 'second one'").await.unwrap();
    *held.lock().unwrap() = secret(postgres.port, "second one");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'loader'";
    look.batch_execute(end).await.unwrap();
    drop(databases.connection(&dsn).await.unwrap());

    look.batch_execute("ALTER ROLE loader PASSWORD 'third one'").await.unwrap();
    look.batch_execute(end).await.unwrap();
    let error = databases.connection(&dsn).await.map(drop).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("loader@127.0.0.1") && !text.contains("second one"), "{text}");
    assert_eq!(error.fault, Fault::Setup, "it waits for somebody to mend it: {text}");
}
