//! Objects: conditions, ranges, checksums, copies, names and listings.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier,
};

use crate::refusal;
use crate::support::World;

#[tokio::test]
async fn an_object_comes_back_with_what_was_stored_with_it() {
    let world = World::start().await.with_bucket().await;
    let put = world
        .s3
        .put_object()
        .bucket(&world.bucket)
        .key("in/a.csv")
        .content_type("text/csv")
        .content_encoding("gzip")
        .metadata("rowproof-job", "j-1")
        .body(ByteStream::from_static(b"hello world"));
    let tag = put.send().await.unwrap().e_tag.unwrap();
    let head = world.s3.head_object().bucket(&world.bucket).key("in/a.csv").send().await.unwrap();
    assert_eq!(head.content_length, Some(11));
    assert_eq!(head.content_type.as_deref(), Some("text/csv"));
    assert_eq!(head.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(head.e_tag.as_deref(), Some(tag.as_str()));
    assert_eq!(head.metadata.unwrap()["rowproof-job"], "j-1");
    assert_eq!(world.get("in/a.csv").await, b"hello world");
}

#[tokio::test]
async fn a_conditional_put_is_refused_when_the_object_is_there() {
    let world = World::start().await.with_bucket().await;
    world.put("k", b"1").await;
    let put = world.s3.put_object().bucket(&world.bucket).key("k").if_none_match("*");
    let refused = refusal!(put.body(ByteStream::from_static(b"2")));
    assert_eq!(refused, (412, "PreconditionFailed".to_owned()));
    assert_eq!(world.get("k").await, b"1");
}

#[tokio::test]
async fn a_put_with_the_tag_of_a_missing_object_is_not_found() {
    let world = World::start().await.with_bucket().await;
    let put = world.s3.put_object().bucket(&world.bucket).key("none").if_match("\"abc\"");
    assert_eq!(refusal!(put.body(ByteStream::from_static(b"2"))), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn a_read_with_the_tag_of_an_overwritten_object_is_refused() {
    let world = World::start().await.with_bucket().await;
    let old = world.put("k", b"old").await;
    let new = world.put("k", b"new").await;
    let get = world.s3.get_object().bucket(&world.bucket).key("k");
    let refused = refusal!(get.clone().if_match(&old).range("bytes=0-1"));
    assert_eq!(refused, (412, "PreconditionFailed".to_owned()));
    assert!(get.clone().if_match(&new).send().await.is_ok());
    assert_eq!(refusal!(get.clone().if_none_match(&new)).0, 304);
    let head = world.s3.head_object().bucket(&world.bucket).key("k");
    assert_eq!(refusal!(head.clone().if_match(&old)).0, 412);
    let missing = world.s3.get_object().bucket(&world.bucket).key("none").if_match(&old);
    assert_eq!(refusal!(missing), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn a_range_is_exactly_its_bytes() {
    let world = World::start().await.with_bucket().await;
    world.put("k", b"0123456789").await;
    for (range, bytes, header) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let get = world.s3.get_object().bucket(&world.bucket).key("k").range(range);
        let got = get.send().await.unwrap();
        assert_eq!(got.content_range.as_deref(), Some(header));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes.as_bytes());
    }
    let beyond = world.s3.get_object().bucket(&world.bucket).key("k").range("bytes=10-");
    assert_eq!(refusal!(beyond), (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn a_good_checksum_is_echoed_and_a_bad_one_refused() {
    let world = World::start().await.with_bucket().await;
    // Of "123456789", from the check values of the algorithms.
    let put = || {
        let put = world.s3.put_object().bucket(&world.bucket).key("k");
        put.body(ByteStream::from_static(b"123456789"))
    };
    let good = put().checksum_crc32("y/Q5Jg==").send().await.unwrap();
    assert_eq!(good.checksum_crc32.as_deref(), Some("y/Q5Jg=="));
    let good = put().checksum_crc32_c("4waSgw==").send().await.unwrap();
    assert_eq!(good.checksum_crc32_c.as_deref(), Some("4waSgw=="));
    let good = put().checksum_crc64_nvme("rosUhgp5mIg=").send().await.unwrap();
    assert_eq!(good.checksum_crc64_nvme.as_deref(), Some("rosUhgp5mIg="));
    let sha = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=";
    let good = put().checksum_sha256(sha).send().await.unwrap();
    assert_eq!(good.checksum_sha256.as_deref(), Some(sha));
    let head = world.s3.head_object().bucket(&world.bucket).key("k");
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_sha256.as_deref(), Some(sha));

    assert_eq!(refusal!(put().checksum_crc32("AAAAAA==")), (400, "BadDigest".to_owned()));
    assert_eq!(refusal!(put().checksum_crc64_nvme("AAAAAAAAAAA=")), (400, "BadDigest".to_owned()));
    let head = world.s3.head_object().bucket(&world.bucket).key("k").send().await.unwrap();
    assert!(head.checksum_sha256.is_none(), "sums are told on request only");
}

#[tokio::test]
async fn a_streamed_upload_carries_its_checksum_behind_the_body() {
    let world = World::start().await.with_bucket().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha256,
    ] {
        let put =
            world.s3.put_object().bucket(&world.bucket).key("big").checksum_algorithm(algorithm);
        let body = ByteStream::from_path(file.path()).await.unwrap();
        put.body(body).send().await.unwrap();
        assert!(world.get("big").await == bytes);
    }
}

#[tokio::test]
async fn a_copy_has_the_bytes_the_headers_and_its_own_conditions() {
    let world = World::start().await.with_bucket().await;
    let put = world.s3.put_object().bucket(&world.bucket).key("a b+ü").metadata("m", "1");
    let put = put.body(ByteStream::from_static(b"data")).send().await.unwrap();
    let source = format!("{}/a%20b%2B%C3%BC", world.bucket);
    let copy = || world.s3.copy_object().bucket(&world.bucket).copy_source(&source).key("to/b");
    let copied = copy().if_none_match("*").send().await.unwrap();
    assert_eq!(copied.copy_object_result.unwrap().e_tag, put.e_tag);
    assert_eq!(world.get("to/b").await, b"data");
    assert_eq!(refusal!(copy().if_none_match("*")).0, 412);
    assert_eq!(refusal!(copy().copy_source_if_match("\"zz\"")).0, 412);
    let head = world.s3.head_object().bucket(&world.bucket).key("to/b").send().await.unwrap();
    assert_eq!(head.metadata.unwrap()["m"], "1");

    let replaced = copy().metadata_directive(MetadataDirective::Replace).metadata("m", "2");
    replaced.send().await.unwrap();
    let head = world.s3.head_object().bucket(&world.bucket).key("to/b").send().await.unwrap();
    assert_eq!(head.metadata.unwrap()["m"], "2");
    // The two are separate from now on.
    world.put("to/b", b"changed").await;
    assert_eq!(world.get("a b+ü").await, b"data");
    let missing = copy().copy_source(format!("{}/none", world.bucket));
    assert_eq!(refusal!(missing), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn every_name_is_a_key_and_none_leaves_the_bucket() {
    let world = World::start().await.with_bucket().await;
    let long = "x".repeat(300);
    let mut keys = vec![
        "plain",
        "a+b ü&%.csv",
        "folder/",
        "a//b",
        "dir/../up",
        "../../escape",
        "/lead",
        "plain/below",
        "x/y",
        "x",
        ".rowproof/s3",
        "quote\"'<>",
        long.as_str(),
    ];
    for key in &keys {
        let put = world.s3.put_object().bucket(&world.bucket).key(*key);
        put.body(key.as_bytes().to_vec().into()).send().await.unwrap();
    }
    for key in &keys {
        assert_eq!(world.get(key).await, key.as_bytes(), "{key}");
    }
    let list = world.s3.list_objects_v2().bucket(&world.bucket).send().await.unwrap();
    let listed: Vec<&str> = list.contents().iter().map(|object| object.key().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(listed, keys);
    for key in &keys {
        world.s3.delete_object().bucket(&world.bucket).key(*key).send().await.unwrap();
    }
    let list = world.s3.list_objects_v2().bucket(&world.bucket).send().await.unwrap();
    assert!(list.contents().is_empty());
}

#[tokio::test]
async fn pages_hold_every_key_once_in_order() {
    let world = World::start().await.with_bucket().await;
    let mut keys: Vec<String> = (0..23).map(|n| format!("p/{}/k{n}", n % 5)).collect();
    keys.extend(["p-x".to_owned(), "p/1.csv".to_owned(), "other".to_owned()]);
    for key in &keys {
        world.put(key, b"x").await;
    }
    keys.sort_unstable();
    for page in [1, 2, 7, 1000] {
        let list = world.s3.list_objects_v2().bucket(&world.bucket).max_keys(page);
        let pages = list.into_paginator().send().try_collect().await.unwrap();
        let contents = pages.into_iter().flat_map(|page| page.contents.unwrap_or_default());
        let found: Vec<String> = contents.map(|object| object.key.unwrap()).collect();
        assert_eq!(found, keys);
    }
    let list = world.s3.list_objects_v2().bucket(&world.bucket);
    let after = list.clone().prefix("p/").start_after("p/3/k3").send().await.unwrap();
    let after: Vec<&str> = after.contents().iter().map(|object| object.key().unwrap()).collect();
    assert!(after.iter().all(|key| *key > "p/3/k3") && after.len() == 5, "{after:?}");

    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = list.clone().delimiter("/").prefix("p/").max_keys(2);
        let page = page.set_continuation_token(token).send().await.unwrap();
        found.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        found.extend(page.common_prefixes().iter().map(|p| p.prefix().unwrap().to_owned()));
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["p/0/", "p/1.csv", "p/1/", "p/2/", "p/3/", "p/4/"]);
}

#[tokio::test]
async fn deletes_are_idempotent_and_come_in_batches() {
    let world = World::start().await.with_bucket().await;
    world.put("a/1", b"x").await;
    world.put("a/2", b"x").await;
    let id = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(id("a/1")).objects(id("a/2")).objects(id("none"));
    let deleted = world.s3.delete_objects().bucket(&world.bucket).delete(delete.build().unwrap());
    let deleted = deleted.send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    world.s3.delete_object().bucket(&world.bucket).key("a/1").send().await.unwrap();
    let get = world.s3.get_object().bucket(&world.bucket).key("a/1");
    assert_eq!(refusal!(get), (404, "NoSuchKey".to_owned()));
    assert_eq!(refusal!(world.s3.head_object().bucket(&world.bucket).key("a/1")).0, 404);
    let no_bucket = world.s3.list_objects_v2().bucket("rowproof-no-such-bucket");
    assert_eq!(refusal!(no_bucket), (404, "NoSuchBucket".to_owned()));
}
