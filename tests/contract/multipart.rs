//! Uploads in parts.

use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart};

use crate::refusal;
use crate::support::World;

const PART: usize = 5 << 20;

struct Upload<'a> {
    world: &'a World,
    key: &'a str,
    id: String,
    parts: Vec<CompletedPart>,
}

impl<'a> Upload<'a> {
    async fn start(world: &'a World, key: &'a str) -> Self {
        let create = world.s3.create_multipart_upload().bucket(&world.bucket).key(key);
        let id = create.metadata("m", "1").send().await.unwrap().upload_id.unwrap();
        Self { world, key, id, parts: Vec::new() }
    }

    async fn part(&mut self, body: Vec<u8>) {
        let number = i32::try_from(self.parts.len()).unwrap() + 1;
        let part = self.world.s3.upload_part().bucket(&self.world.bucket).key(self.key);
        let part = part.upload_id(&self.id).part_number(number).body(body.into());
        let part = part.send().await.unwrap();
        let done = CompletedPart::builder().part_number(number).e_tag(part.e_tag.unwrap());
        self.parts.push(done.set_checksum_crc32(part.checksum_crc32).build());
    }

    fn complete(
        &self,
    ) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder
    {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone()));
        let complete = self.world.s3.complete_multipart_upload().bucket(&self.world.bucket);
        complete.key(self.key).upload_id(&self.id).multipart_upload(parts.build())
    }
}

#[tokio::test]
async fn parts_become_one_object() {
    let world = World::start().await.with_bucket().await;
    let mut upload = Upload::start(&world, "big").await;
    upload.part(vec![b'a'; PART]).await;
    upload.part(vec![b'b'; PART + 1]).await;
    upload.part(b"end".to_vec()).await;
    let tag = upload.complete().send().await.unwrap().e_tag.unwrap();
    assert!(tag.ends_with("-3\""), "{tag}");
    let got = world.get("big").await;
    assert_eq!(got.len(), 2 * PART + 4);
    assert!(got[PART] == b'b' && got[PART - 1] == b'a' && got.ends_with(b"bend"));
    let head = world.s3.head_object().bucket(&world.bucket).key("big");
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.metadata.unwrap()["m"], "1");
    assert!(head.checksum_crc32.unwrap().ends_with("-3"));
}

#[tokio::test]
async fn a_small_part_that_is_not_the_last_is_refused() {
    let world = World::start().await.with_bucket().await;
    let mut upload = Upload::start(&world, "small").await;
    upload.part(vec![b'a'; PART - 1]).await;
    upload.part(b"end".to_vec()).await;
    assert_eq!(refusal!(upload.complete()), (400, "EntityTooSmall".to_owned()));
    assert_eq!(refusal!(world.s3.head_object().bucket(&world.bucket).key("small")).0, 404);
}

#[tokio::test]
async fn completing_over_an_object_can_be_forbidden() {
    let world = World::start().await.with_bucket().await;
    world.put("k", b"first").await;
    let mut upload = Upload::start(&world, "k").await;
    upload.part(b"second".to_vec()).await;
    assert_eq!(refusal!(upload.complete().if_none_match("*")).0, 412);
    assert_eq!(world.get("k").await, b"first");
    upload.complete().send().await.unwrap();
    assert_eq!(world.get("k").await, b"second");
    assert_eq!(refusal!(upload.complete()), (404, "NoSuchUpload".to_owned()));
}
