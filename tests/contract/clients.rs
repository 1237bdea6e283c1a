//! What S3 clients ask for beside plain reads and writes.

use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, ObjectAttributes, ObjectIdentifier, Tag,
    Tagging,
};

use crate::raw::{ask_service, local};
use crate::refusal;
use crate::support::World;

const PART: usize = 5 << 20;

async fn upload(world: &World, key: &str) -> String {
    let create = world.s3.create_multipart_upload().bucket(&world.bucket).key(key);
    create.send().await.unwrap().upload_id.unwrap()
}

/// Completes an upload of parts with these tags; the object's tag.
async fn complete(world: &World, key: &str, id: &str, tags: &[String]) -> String {
    let parts = (1..)
        .zip(tags)
        .map(|(number, tag)| CompletedPart::builder().part_number(number).e_tag(tag).build());
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
    let complete = world.s3.complete_multipart_upload().bucket(&world.bucket).key(key);
    complete.upload_id(id).multipart_upload(parts).send().await.unwrap().e_tag.unwrap()
}

#[tokio::test]
async fn what_a_client_stores_has_the_md5_as_its_tag() {
    let world = World::start().await.with_bucket().await;
    assert_eq!(world.put("k", b"abc").await, "\"900150983cd24fb0d6963f7d28e17f72\"");
    assert_eq!(world.put("empty", b"").await, "\"d41d8cd98f00b204e9800998ecf8427e\"");
    let id = upload(&world, "parts").await;
    let part = world.s3.upload_part().bucket(&world.bucket).key("parts").upload_id(&id);
    let part = part.part_number(1).body(b"abc".to_vec().into()).send().await.unwrap();
    let tag = part.e_tag.unwrap();
    assert_eq!(tag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    // printf 900150983cd24fb0d6963f7d28e17f72 | xxd -r -p | md5sum
    let whole = complete(&world, "parts", &id, &[tag]).await;
    assert_eq!(whole, "\"af5da9f45af7a300e3aded972f8ff687-1\"");
}

#[tokio::test]
async fn what_rowproof_stores_has_a_tag_that_nobody_takes_for_an_md5() {
    let aws = local();
    let key = rowproof_local::OWN_ACCESS_KEY;
    let signed = format!("AWS4-HMAC-SHA256 Credential={key}/20260102/us-east-1/s3/aws4_request");
    let own = [("authorization", signed.as_str())];
    let put = ask_service(&aws, "", "PUT /input/k", &own, "abc").await;
    let tag = put.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with("\"xxh3-") && tag.len() == 39, "{tag}");
    let found = [("if-match", tag.as_str())];
    assert_eq!(ask_service(&aws, "s3", "GET /input/k", &found, "").await.status(), 200);
}

#[tokio::test]
async fn parts_are_copied_from_objects_and_ranges_of_them() {
    let world = World::start().await.with_bucket().await;
    let mut source = vec![b'a'; PART];
    source.extend(b"tail of the source");
    let put = world.s3.put_object().bucket(&world.bucket).key("a b/ü");
    let source_tag = put.body(source.clone().into()).send().await.unwrap().e_tag.unwrap();
    let id = upload(&world, "copy").await;
    let from = format!("{}/a%20b/%C3%BC", world.bucket);
    let part = |number, range: &str| {
        let copy = world.s3.upload_part_copy().bucket(&world.bucket).key("copy").upload_id(&id);
        copy.part_number(number).copy_source(&from).copy_source_range(range)
    };
    let tag_of = |answer: aws_sdk_s3::operation::upload_part_copy::UploadPartCopyOutput| {
        answer.copy_part_result.unwrap().e_tag.unwrap()
    };
    let first = tag_of(part(1, &format!("bytes=0-{}", PART - 1)).send().await.unwrap());
    let last = format!("bytes={PART}-{}", source.len() - 1);
    let guarded = part(2, &last).copy_source_if_match(&source_tag);
    let second = tag_of(guarded.send().await.unwrap());
    assert_eq!(refusal!(part(3, &last).copy_source_if_none_match(&source_tag)).0, 412);
    assert_eq!(refusal!(part(3, &last).copy_source_if_match("\"other\"")).0, 412);
    assert_eq!(refusal!(part(3, &format!("bytes=0-{}", source.len()))).0, 416);
    let missing = world.s3.upload_part_copy().bucket(&world.bucket).key("copy").upload_id(&id);
    let missing = missing.part_number(3).copy_source(format!("{}/none", world.bucket));
    assert_eq!(refusal!(missing), (404, "NoSuchKey".to_owned()));
    complete(&world, "copy", &id, &[first, second]).await;
    assert!(world.get("copy").await == source);
    let part = world.s3.get_object().bucket(&world.bucket).key("copy").part_number(2);
    let part = part.send().await.unwrap();
    assert_eq!(part.parts_count, Some(2));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"tail of the source");
}

#[tokio::test]
async fn uploads_under_way_are_listed_until_they_end() {
    let world = World::start().await.with_bucket().await;
    let (kept, dropped) = (upload(&world, "b").await, upload(&world, "a").await);
    let list = world.s3.list_multipart_uploads().bucket(&world.bucket).send().await.unwrap();
    let seen: Vec<(&str, &str)> = list
        .uploads()
        .iter()
        .map(|upload| (upload.key().unwrap(), upload.upload_id().unwrap()))
        .collect();
    assert_eq!(seen, [("a", dropped.as_str()), ("b", kept.as_str())]);
    let abort = world.s3.abort_multipart_upload().bucket(&world.bucket).key("a");
    abort.upload_id(dropped).send().await.unwrap();
    let list = world.s3.list_multipart_uploads().bucket(&world.bucket).send().await.unwrap();
    assert_eq!(list.uploads().len(), 1);
}

#[tokio::test]
async fn versions_and_delete_markers_are_listed() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let world = World::start().await.with_bucket().await;
    world.put("old", b"before").await;
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let switch = world.s3.put_bucket_versioning().bucket(&world.bucket);
    switch.versioning_configuration(on).send().await.unwrap();
    for body in [&b"one"[..], b"two"] {
        let put = world.s3.put_object().bucket(&world.bucket).key("k");
        put.body(body.to_vec().into()).send().await.unwrap();
    }
    world.s3.delete_object().bucket(&world.bucket).key("k").send().await.unwrap();
    let list = world.s3.list_object_versions().bucket(&world.bucket).send().await.unwrap();
    let versions: Vec<_> = list
        .versions()
        .iter()
        .map(|v| (v.key().unwrap(), v.size().unwrap(), v.is_latest().unwrap()))
        .collect();
    assert_eq!(versions, [("k", 3, false), ("k", 3, false), ("old", 6, true)]);
    assert_eq!(list.versions()[2].version_id(), Some("null"));
    assert_eq!(list.delete_markers().len(), 1);
    assert_eq!(list.delete_markers()[0].is_latest(), Some(true));
    // All of them can be deleted, as `--purge` commands of clients do.
    let listed = list.versions().iter().map(|v| (v.key().unwrap(), v.version_id().unwrap()));
    let markers = list.delete_markers().iter();
    let listed = listed.chain(markers.map(|m| (m.key().unwrap(), m.version_id().unwrap())));
    let all = listed
        .map(|(key, id)| ObjectIdentifier::builder().key(key).version_id(id).build().unwrap())
        .collect();
    let delete = Delete::builder().set_objects(Some(all)).build().unwrap();
    let deleted = world.s3.delete_objects().bucket(&world.bucket).delete(delete).send().await;
    assert!(deleted.unwrap().errors().is_empty());
    let list = world.s3.list_object_versions().bucket(&world.bucket).send().await.unwrap();
    assert!(list.versions().is_empty() && list.delete_markers().is_empty());
}

#[tokio::test]
async fn attributes_of_an_object_are_told() {
    let world = World::start().await.with_bucket().await;
    let tag = world.put("k", b"abc").await;
    let ask = world.s3.get_object_attributes().bucket(&world.bucket).key("k");
    let ask = ask.object_attributes(ObjectAttributes::Etag);
    let ask = ask.object_attributes(ObjectAttributes::ObjectSize);
    let told = ask.object_attributes(ObjectAttributes::Checksum).send().await.unwrap();
    assert_eq!(told.object_size(), Some(3));
    assert_eq!(told.e_tag().unwrap().trim_matches('"'), tag.trim_matches('"'));
    assert!(told.checksum().unwrap().checksum_crc32().is_some());
}

async fn tags(world: &World, key: &str) -> Vec<String> {
    let ask = world.s3.get_object_tagging().bucket(&world.bucket).key(key);
    let told = ask.send().await.unwrap().tag_set;
    told.into_iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect()
}

#[tokio::test]
async fn tags_are_stored_given_back_and_copied() {
    let world = World::start().await.with_bucket().await;
    let put = world.s3.put_object().bucket(&world.bucket).key("k").tagging("a=1&b=x%20y");
    put.send().await.unwrap();
    assert_eq!(tags(&world, "k").await, ["a=1", "b=x y"]);
    let copy = world.s3.copy_object().bucket(&world.bucket).key("copy");
    copy.copy_source(format!("{}/k", world.bucket)).send().await.unwrap();
    let new = Tagging::builder().tag_set(Tag::builder().key("c").value("3").build().unwrap());
    let write = world.s3.put_object_tagging().bucket(&world.bucket).key("k");
    write.tagging(new.build().unwrap()).send().await.unwrap();
    assert_eq!(tags(&world, "k").await, ["c=3"]);
    assert_eq!(tags(&world, "copy").await, ["a=1", "b=x y"]);
    let drop = world.s3.delete_object_tagging().bucket(&world.bucket).key("k");
    drop.send().await.unwrap();
    assert!(tags(&world, "k").await.is_empty());
}

#[tokio::test]
async fn a_bucket_tells_the_settings_that_it_does_not_have() {
    let world = World::start().await.with_bucket().await;
    let acl = world.s3.get_bucket_acl().bucket(&world.bucket).send().await.unwrap();
    assert_eq!(acl.grants().len(), 1);
    for (code, refused) in [
        ("NoSuchBucketPolicy", refusal!(world.s3.get_bucket_policy().bucket(&world.bucket))),
        ("NoSuchTagSet", refusal!(world.s3.get_bucket_tagging().bucket(&world.bucket))),
    ] {
        assert_eq!(refused, (404, code.to_owned()));
    }
}
