//! What the local AWS does not do is refused by name, and nothing is changed.

use rowproof_local::LocalAws;

use crate::raw::{ask, ask_service, field, local};

async fn stored(aws: &LocalAws) -> String {
    ask(aws, "GET /input/k", &[], "").await.1
}

#[tokio::test]
async fn an_operation_that_is_not_known_is_no_put() {
    let aws = local();
    assert_eq!(ask(&aws, "PUT /input/k", &[], "first").await.0, 200);
    let renamed = ("x-amz-rename-source", "/input/other");
    for (request, headers, name) in [
        ("PUT /input/k?renameObject&x-id=RenameObject", &[renamed][..], "renameObject"),
        ("PUT /input/k?encryption", &[], "encryption"),
        ("PUT /input/k", &[renamed], "x-amz-rename-source"),
        ("PUT /input/k", &[("x-amz-write-offset-bytes", "5")], "x-amz-write-offset-bytes"),
        ("PUT /input/k", &[("x-amz-object-lock-mode", "GOVERNANCE")], "x-amz-object-lock-mode"),
        ("PUT /input/k", &[("content-range", "bytes 0-1/5")], "Content-Range"),
        ("PUT /input/k?tomorrow&x=1", &[], "tomorrow"),
        ("DELETE /input/k?tomorrow", &[], "tomorrow"),
        ("DELETE /input/k", &[("x-amz-if-match-size", "1")], "x-amz-if-match-size"),
        ("DELETE /input?acl", &[], "acl"),
    ] {
        let (status, text) = ask(&aws, request, headers, "second").await;
        assert_eq!(status, 501, "{request} {text}");
        assert_eq!(field(&text, "Code"), Some("NotImplemented"), "{request}");
        assert!(field(&text, "Message").unwrap().contains(name), "{request} {text}");
        assert_eq!(stored(&aws).await, "first", "{request}");
    }
    // A part without its upload, or the other way round.
    for request in ["PUT /input/k?partNumber=1", "PUT /input/k?uploadId=u"] {
        assert_eq!(ask(&aws, request, &[], "second").await.0, 400);
        assert_eq!(stored(&aws).await, "first");
    }
}

#[tokio::test]
async fn a_condition_on_the_owner_is_heeded() {
    let aws = local();
    let other = [("x-amz-expected-bucket-owner", "111122223333")];
    assert_eq!(ask(&aws, "PUT /input/k", &other, "x").await.0, 403);
    let own = [("x-amz-expected-bucket-owner", rowproof_local::ACCOUNT)];
    assert_eq!(ask(&aws, "PUT /input/k", &own, "x").await.0, 200);
}

#[tokio::test]
async fn another_service_is_not_answered_as_a_bucket() {
    let aws = local();
    let call = "POST /2015-03-31/functions/ingest/invocations";
    let answer = ask_service(&aws, "lambda", call, &[("content-type", "application/json")], "{}");
    let answer = answer.await;
    assert_eq!(answer.status(), 501);
    assert_eq!(answer.headers()["x-amzn-errortype"], "UnknownOperationException");
    let told: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert!(told["message"].as_str().unwrap().contains("not lambda"), "{told}");

    let query = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let answer = ask_service(&aws, "sts", "POST /", &query, "Action=GetCallerIdentity").await;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(field(&text, "Message").unwrap().contains("not sts"), "{text}");
}

#[tokio::test]
async fn a_full_or_read_only_disk_is_named_with_what_to_do() {
    let aws = local();
    // A file where the bucket's folder for new ones was.
    let dir = tempfile::tempdir().unwrap();
    let buckets = vec![("input".to_owned(), false)];
    let options = rowproof_local::Options {
        dir: Some(dir.path().to_owned()),
        buckets,
        ..rowproof_local::Options::default()
    };
    let broken = LocalAws::in_process(options).unwrap();
    let tmp = dir.path().join(".rowproof/s3/input/tmp");
    std::fs::remove_dir(&tmp).unwrap();
    std::fs::write(&tmp, "").unwrap();
    let (status, text) = ask(&broken, "PUT /input/k", &[], "x").await;
    assert_eq!(status, 500);
    let message = field(&text, "Message").unwrap();
    assert!(message.contains(&tmp.display().to_string()), "{message}");
    assert!(!message.contains("see the log"), "{message}");
    assert_eq!(ask(&aws, "PUT /input/k", &[], "x").await.0, 200);
}
