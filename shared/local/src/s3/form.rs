//! Forms that a browser posts: an object and, signed with it, a policy of what it may be.
//!
//! The protocol crate reads the form, checks the signature and the policy, and answers as the form
//! asks. The file is held in memory meanwhile, so it may be of no size.

use std::sync::Arc;

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Request, S3Result, s3_error};

use super::Storage;
use super::commit::WriteCondition;
use super::meta::{Described, Meta};
use super::output::{Answer, ok, on_disk};
use super::receive::{Promise, receive};
use super::tag_list;
use crate::{ACCESS_KEY, SECRET_KEY};

/// The largest file in a form, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The service over these buckets.
pub(crate) fn service_of(storage: &Storage) -> S3Service {
    let mut builder = S3ServiceBuilder::new(storage.clone());
    builder.set_auth(Keys);
    builder.set_access(Keys);
    let mut config = S3Config::default();
    config.post_object_max_file_size = FILE_BYTES_MAX;
    // S3 takes a policy until it expires, whenever it was made.
    config.presigned_url_max_skew_time_secs = u32::MAX;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

/// The one key that forms can be signed with. All other requests come here without a signature, see
/// `plain`.
struct Keys;

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == ACCESS_KEY {
            return Ok(SecretKey::from(SECRET_KEY));
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "a form is checked against its signature: sign it with the access key {ACCESS_KEY} and \
             the secret key {SECRET_KEY}"
        ))
    }
}

#[async_trait]
impl S3Access for Keys {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.s3_op().name() == "PostObject" && context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "the form is not signed"));
        }
        Ok(())
    }
}

impl Storage {
    pub(super) async fn post(
        &self,
        mut request: S3Request<PostObjectInput>,
    ) -> Answer<PostObjectOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        if request.input.key.contains("${filename}") {
            return Err(s3_error!(
                NotImplemented,
                "${{filename}} in the key of a form is not supported by the local S3: write the name"
            ));
        }
        let body = request.input.body.take();
        let promise = Promise::of_form(&request.input);
        let received = receive(&bucket, body, promise).await?;
        let input = request.input;
        let described = described(&input)?;
        let condition =
            WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
        let meta = Meta {
            key: input.key,
            etag: received.etag,
            sums: received.sums,
            described,
            ..Meta::default()
        };
        let temp = received.temp;
        let meta = on_disk(move || bucket.commit(&temp, meta, &condition)).await?;
        self.created(&input.bucket, &meta, "PostObject");
        ok(PostObjectOutput {
            e_tag: Some(meta.e_tag()),
            version_id: meta.version,
            ..Default::default()
        })
    }
}

/// What the fields of a form say of its object.
fn described(input: &PostObjectInput) -> S3Result<Described> {
    let user = input.metadata.clone().unwrap_or_default();
    Ok(Described {
        content_type: input.content_type.clone(),
        content_encoding: input.content_encoding.clone(),
        content_language: input.content_language.clone(),
        content_disposition: input.content_disposition.clone(),
        cache_control: input.cache_control.clone(),
        user: user.into_iter().collect(),
        tags: input.tagging.as_deref().map(tag_list::parse).transpose()?.unwrap_or_default(),
    })
}
