//! What a bucket says of the settings that it cannot have: the answers of a new bucket on AWS.

use s3s::dto::*;
use s3s::s3_error;

use super::output::{Answer, ok};
use crate::ACCOUNT;

fn owner() -> Option<Owner> {
    Some(Owner { display_name: Some("rowproof".to_owned()), id: Some(ACCOUNT.to_owned()) })
}

/// The owner may do all, nobody else anything.
fn grants() -> Option<Vec<Grant>> {
    let grantee = Grantee {
        display_name: Some("rowproof".to_owned()),
        email_address: None,
        id: Some(ACCOUNT.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let permission = Permission::from_static(Permission::FULL_CONTROL);
    Some(vec![Grant { grantee: Some(grantee), permission: Some(permission) }])
}

pub(super) fn object_acl() -> Answer<GetObjectAclOutput> {
    ok(GetObjectAclOutput { grants: grants(), owner: owner(), ..Default::default() })
}

pub(super) fn bucket_acl() -> Answer<GetBucketAclOutput> {
    ok(GetBucketAclOutput { grants: grants(), owner: owner() })
}

pub(super) fn bucket_encryption() -> Answer<GetBucketEncryptionOutput> {
    let algorithm = ServerSideEncryption::from_static(ServerSideEncryption::AES256);
    let by_default =
        ServerSideEncryptionByDefault { sse_algorithm: algorithm, kms_master_key_id: None };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(false),
    };
    ok(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration {
            rules: vec![rule],
        }),
    })
}

pub(super) fn bucket_ownership_controls() -> Answer<GetBucketOwnershipControlsOutput> {
    let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
    let rules = vec![OwnershipControlsRule { object_ownership }];
    ok(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) })
}

pub(super) fn public_access_block() -> Answer<GetPublicAccessBlockOutput> {
    ok(GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        }),
    })
}

pub(super) fn bucket_request_payment() -> Answer<GetBucketRequestPaymentOutput> {
    ok(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) })
}

pub(super) fn bucket_logging() -> Answer<GetBucketLoggingOutput> {
    ok(GetBucketLoggingOutput::default())
}

pub(super) fn bucket_accelerate_configuration() -> Answer<GetBucketAccelerateConfigurationOutput> {
    ok(GetBucketAccelerateConfigurationOutput::default())
}

pub(super) fn bucket_policy() -> Answer<GetBucketPolicyOutput> {
    Err(s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
}

pub(super) fn bucket_tagging() -> Answer<GetBucketTaggingOutput> {
    Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"))
}

pub(super) fn bucket_cors() -> Answer<GetBucketCorsOutput> {
    Err(s3_error!(NoSuchCORSConfiguration, "The CORS configuration does not exist"))
}

pub(super) fn bucket_lifecycle_configuration() -> Answer<GetBucketLifecycleConfigurationOutput> {
    Err(s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist"))
}

pub(super) fn bucket_website() -> Answer<GetBucketWebsiteOutput> {
    Err(s3_error!(
        NoSuchWebsiteConfiguration,
        "The specified bucket does not have a website configuration"
    ))
}

pub(super) fn bucket_replication() -> Answer<GetBucketReplicationOutput> {
    Err(s3_error!(
        ReplicationConfigurationNotFoundError,
        "The replication configuration was not found"
    ))
}

pub(super) fn object_lock_configuration() -> Answer<GetObjectLockConfigurationOutput> {
    Err(s3_error!(
        ObjectLockConfigurationNotFoundError,
        "Object Lock configuration does not exist for this bucket"
    ))
}
