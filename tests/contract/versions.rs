//! Versioned buckets.

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use crate::refusal;
use crate::support::World;

async fn versioned() -> World {
    let world = World::start().await.with_bucket().await;
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let put = world.s3.put_bucket_versioning().bucket(&world.bucket);
    put.versioning_configuration(on).send().await.unwrap();
    world
}

async fn put(world: &World, body: &'static [u8]) -> String {
    let put = world.s3.put_object().bucket(&world.bucket).key("k").body(body.to_vec().into());
    put.send().await.unwrap().version_id.unwrap()
}

#[tokio::test]
async fn an_overwritten_version_can_still_be_read() {
    let world = versioned().await;
    let (first, second) = (put(&world, b"one").await, put(&world, b"two").await);
    assert_ne!(first, second);
    for (version, body) in [(&first, "one"), (&second, "two")] {
        let get = world.s3.get_object().bucket(&world.bucket).key("k").version_id(version);
        let got = get.send().await.unwrap();
        assert_eq!(got.version_id.as_ref(), Some(version));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), body.as_bytes());
    }
    let head = world.s3.head_object().bucket(&world.bucket).key("k").send().await.unwrap();
    assert_eq!(head.version_id, Some(second));
}

#[tokio::test]
async fn a_delete_covers_the_object_and_can_be_taken_back() {
    let world = versioned().await;
    let first = put(&world, b"one").await;
    let deleted = world.s3.delete_object().bucket(&world.bucket).key("k").send().await.unwrap();
    assert_eq!(deleted.delete_marker, Some(true));
    let get = || world.s3.get_object().bucket(&world.bucket).key("k");
    assert_eq!(refusal!(get()), (404, "NoSuchKey".to_owned()));
    assert!(get().version_id(&first).send().await.is_ok());
    let marker = deleted.version_id.unwrap();
    assert_eq!(refusal!(get().version_id(&marker)), (405, "MethodNotAllowed".to_owned()));
    let undo = world.s3.delete_object().bucket(&world.bucket).key("k").version_id(marker);
    undo.send().await.unwrap();
    assert_eq!(world.get("k").await, b"one");
}

#[tokio::test]
async fn deleting_the_newest_version_brings_the_one_before_back() {
    let world = versioned().await;
    let first = put(&world, b"one").await;
    let second = put(&world, b"two").await;
    let delete = world.s3.delete_object().bucket(&world.bucket).key("k");
    delete.clone().version_id(&second).send().await.unwrap();
    assert_eq!(world.get("k").await, b"one");
    delete.version_id(&first).send().await.unwrap();
    assert_eq!(refusal!(world.s3.get_object().bucket(&world.bucket).key("k")).0, 404);
}

#[tokio::test]
async fn what_was_there_before_versioning_keeps_the_null_version() {
    let world = World::start().await.with_bucket().await;
    world.put("k", b"before").await;
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let enable = world.s3.put_bucket_versioning().bucket(&world.bucket);
    enable.versioning_configuration(on).send().await.unwrap();
    put(&world, b"after").await;
    let get = world.s3.get_object().bucket(&world.bucket).key("k").version_id("null");
    assert_eq!(get.send().await.unwrap().body.collect().await.unwrap().to_vec(), b"before");
}
