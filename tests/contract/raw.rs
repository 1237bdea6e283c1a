//! Requests by hand, for what no client sends and to look at answers as they are.

use bytes::Bytes;
use hyper::{Request, Response};
use rowproof_local::{LocalAws, Options};

/// A local AWS without sockets, with the bucket `input`.
pub(crate) fn local() -> LocalAws {
    let buckets = vec![("input".to_owned(), false)];
    LocalAws::in_process(Options { buckets, ..Options::default() }).unwrap()
}

/// A request that is signed for a service, in no way that anybody checks.
pub(crate) async fn ask_service(
    aws: &LocalAws,
    service: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let (method, uri) = request.split_once(' ').unwrap();
    let body: Bytes = body.into();
    let mut builder = Request::builder().method(method).uri(uri);
    if !service.is_empty() {
        let scope =
            format!("AWS4-HMAC-SHA256 Credential=k/20260102/us-east-1/{service}/aws4_request");
        builder = builder.header("authorization", scope);
    }
    builder = builder.header("host", "127.0.0.1").header("content-length", body.len());
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    aws.handler().call(builder.body(body).unwrap()).await
}

/// A request of S3; its status and its answer as text.
pub(crate) async fn ask(
    aws: &LocalAws,
    request: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (u16, String) {
    let answer = ask_service(aws, "s3", request, headers, body).await;
    (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
}

/// The first text between the tags of this name.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    fields(text, name).into_iter().next()
}

/// All texts between tags of this name.
pub(crate) fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let after = text.split(open.as_str()).skip(1);
    after.filter_map(|rest| rest.split(close.as_str()).next()).collect()
}
