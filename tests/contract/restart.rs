//! The folder is the disk: what was stored is there after a restart, whoever stored it.

use std::fs;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::presigning::PresigningConfig;
use rowproof_local::{LocalAws, LocalError, Options};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::refusal;
use crate::support::World;

async fn world(dir: &std::path::Path) -> World {
    let buckets = vec![("input".to_owned(), true), ("output".to_owned(), false)];
    let options = Options { dir: Some(dir.to_owned()), buckets, ..Options::default() };
    let mut world = World::local(options).await;
    world.bucket = "input".to_owned();
    world.table = "ledger".to_owned();
    world
}

#[tokio::test]
async fn objects_versions_and_the_ledger_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = world(dir.path()).await.with_table().await;
    let put = first.s3.put_object().bucket("input").key("a/b.csv").metadata("m", "1");
    let old = put.body(b"one".to_vec().into()).send().await.unwrap().version_id.unwrap();
    let tag = first.put("a/b.csv", b"two").await;
    let item = first.dynamodb.put_item().table_name("ledger");
    item.item("pk", AttributeValue::S("job".into())).send().await.unwrap();
    assert_eq!(fs::read(dir.path().join("input/a/b.csv")).unwrap(), b"two");
    first.aws.unwrap().shutdown().await;

    let second = world(dir.path()).await;
    let head = second.s3.head_object().bucket("input").key("a/b.csv").send().await.unwrap();
    assert_eq!(head.e_tag, Some(tag));
    let get = second.s3.get_object().bucket("input").key("a/b.csv").version_id(old);
    let got = get.send().await.unwrap();
    assert_eq!(got.metadata.as_ref().unwrap()["m"], "1");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"one");
    let get = second.dynamodb.get_item().table_name("ledger");
    let item = get.key("pk", AttributeValue::S("job".into())).send().await.unwrap().item;
    assert!(item.is_some());
}

#[tokio::test]
async fn a_file_that_somebody_put_or_changed_in_the_folder_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path()).await;
    world.put("changed", b"before").await;
    let tag = world.put("k", b"by hand").await;
    fs::write(dir.path().join("input/changed"), "afterwards").unwrap();
    fs::create_dir_all(dir.path().join("input/new")).unwrap();
    fs::write(dir.path().join("input/new/file"), "by hand").unwrap();
    assert_eq!(world.get("changed").await, b"afterwards");
    let head = world.s3.head_object().bucket("input").key("new/file").send().await.unwrap();
    // Equal content has an equal tag, however it came.
    assert_eq!(head.e_tag, Some(tag));
    let list = world.s3.list_objects_v2().bucket("input").send().await.unwrap();
    let keys: Vec<&str> = list.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(keys, ["changed", "k", "new/file"]);
}

#[tokio::test]
async fn what_a_kill_left_behind_is_no_object() {
    let dir = tempfile::tempdir().unwrap();
    let first = world(dir.path()).await;
    let put = first.s3.put_object().bucket("output").key("k").metadata("m", "1");
    put.body(b"whole".to_vec().into()).send().await.unwrap();
    first.aws.unwrap().shutdown().await;
    // A half-written body, and the meta of an object that never got its place.
    let private = dir.path().join(".rowproof/s3/output");
    fs::write(private.join("tmp/abc"), "hal").unwrap();
    let meta = fs::read_dir(private.join("meta")).unwrap().next().unwrap().unwrap().path();
    let meta = fs::read_dir(meta).unwrap().next().unwrap().unwrap().path();
    let name = meta.file_name().unwrap().to_str().unwrap();
    let (hash, _) = name.split_once('-').unwrap();
    fs::copy(&meta, meta.with_file_name(format!("{hash}-1"))).unwrap();

    let second = world(dir.path()).await;
    let head = second.s3.head_object().bucket("output").key("k").send().await.unwrap();
    assert_eq!(head.metadata.unwrap()["m"], "1");
    assert_eq!(fs::read_dir(private.join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.path().join("output")).unwrap().count(), 1);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_old_object() {
    let world = World::local(Options::default()).await.with_bucket().await;
    world.put("k", b"old").await;
    let address = world.local_aws().endpoints().url.replace("http://", "");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "PUT /{}/k HTTP/1.1\r\nhost: localhost\r\nauthorization: Credential=x/\r\n\
         content-length: 10\r\n\r\nshort",
        world.bucket
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(world.get("k").await, b"old");
}

#[tokio::test]
async fn a_taken_port_is_said_so() {
    let aws = LocalAws::start(Options::default()).await.unwrap();
    let port = aws.endpoints().url.rsplit(':').next().unwrap().parse().unwrap();
    let second = LocalAws::start(Options { port: Some(port), ..Options::default() }).await;
    let error = second.unwrap_err();
    assert!(matches!(error, LocalError::Bind { .. }));
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn one_port_answers_for_all_services_but_only_to_signed_requests() {
    let world = World::local(Options::default()).await.with_bucket().await.with_table().await;
    let anonymous = aws_sdk_s3::config::Builder::new()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .endpoint_url(&world.local_aws().endpoints().url)
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true)
        .allow_no_auth()
        .build();
    let anonymous = aws_sdk_s3::Client::from_conf(anonymous);
    assert_eq!(refusal!(anonymous.list_buckets()), (403, "AccessDenied".to_owned()));
    assert!(world.sqs.list_queues().send().await.is_ok());

    let soon = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let put = world.s3.put_object().bucket(&world.bucket).key("k");
    assert_eq!(by_hand("PUT", put.presigned(soon.clone()).await.unwrap().uri(), "body").await, 200);
    let get = world.s3.get_object().bucket(&world.bucket).key("k");
    let url = get.presigned(soon).await.unwrap().uri().to_owned();
    assert_eq!(by_hand("GET", &url, "").await, 200);
    assert_eq!(by_hand("POST", &url, "body").await, 403);
}

/// The status of a request without any header of AWS.
async fn by_hand(method: &str, url: &str, body: &str) -> u16 {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
