//! What S3 can be asked for here. A request with a sub-resource or a header that is not known here
//! would be taken for the plain operation beside it: `PUT key?renameObject` for a PUT of nothing. So
//! it is refused, and its name said.

use hyper::header::CONTENT_RANGE;
use hyper::{HeaderMap, Method, Request};

use crate::ACCOUNT;

/// Why a request is not handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

fn not_here(what: &str) -> Refusal {
    let message = format!("{what} is not supported by the local S3; nothing was changed");
    Refusal { status: 501, code: "NotImplemented", message }
}

fn invalid(message: &str) -> Refusal {
    Refusal { status: 400, code: "InvalidRequest", message: message.to_owned() }
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Bucket,
    Object,
}

impl Place {
    fn of(path: &str) -> Self {
        match path.trim_start_matches('/').split_once('/') {
            None if path.trim_matches('/').is_empty() => Self::Root,
            None | Some((_, "")) => Self::Bucket,
            Some(_) => Self::Object,
        }
    }
}

/// The sub-resources of a place that this method has: the protocol layer answers them, or refuses them
/// by their operation. Any other one it would not see.
fn resources(method: &Method, place: Place) -> &'static [&'static str] {
    match (place, method.as_str()) {
        (Place::Object, "GET") => {
            &["acl", "attributes", "legal-hold", "retention", "tagging", "torrent"]
        }
        (Place::Object, "PUT") => &["acl", "legal-hold", "retention", "tagging"],
        (Place::Object, "POST") => &["restore", "select", "uploads"],
        (Place::Object, "DELETE") => &["tagging"],
        (Place::Bucket, "GET") => OF_BUCKETS,
        (Place::Bucket, "PUT") => OF_BUCKETS.get(READ_ONLY..).unwrap_or_default(),
        (Place::Bucket, "DELETE") => OF_BUCKETS.get(NEVER_DELETED..).unwrap_or_default(),
        (Place::Bucket, "POST") => &["delete", "metadataTable"],
        _ => &[],
    }
}

/// First those that are only read, then those that are also written, then those that are also deleted.
const OF_BUCKETS: &[&str] = &[
    "location",
    "metadataTable",
    "policyStatus",
    "session",
    "uploads",
    "versions",
    "accelerate",
    "acl",
    "logging",
    "notification",
    "object-lock",
    "requestPayment",
    "versioning",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "metrics",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "tagging",
    "website",
];
const READ_ONLY: usize = 6;
const NEVER_DELETED: usize = 13;
/// Parameters of those and of the plain operations.
const PARAMETERS: &[&str] = &[
    "bucket-region",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "id",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "start-after",
    "upload-id-marker",
    "uploadId",
    "version-id-marker",
    "versionId",
    "x-id",
];
/// Headers of S3 that are looked at here, or that change nothing here.
const HEADERS: &[&str] = &[
    "acl",
    "algorithm",
    "api-version",
    "bucket-object-lock-enabled",
    "bypass-governance-retention",
    "checksum-algorithm",
    "checksum-crc32",
    "checksum-crc32c",
    "checksum-crc64nvme",
    "checksum-mode",
    "checksum-sha1",
    "checksum-sha256",
    "checksum-type",
    "content-sha256",
    "copy-source",
    "copy-source-if-match",
    "copy-source-if-modified-since",
    "copy-source-if-none-match",
    "copy-source-if-unmodified-since",
    "copy-source-range",
    "date",
    "decoded-content-length",
    "expected-bucket-owner",
    "max-parts",
    "metadata-directive",
    "mp-object-size",
    "object-attributes",
    "object-ownership",
    "optional-object-attributes",
    "part-number-marker",
    "request-payer",
    "sdk-checksum-algorithm",
    "security-token",
    "server-side-encryption",
    "server-side-encryption-bucket-key-enabled",
    "source-expected-bucket-owner",
    "storage-class",
    "tagging",
    "tagging-directive",
    "te",
    "trailer",
    "user-agent",
];
/// Storage classes whose objects are read like all others.
const CLASSES: &[&str] = &[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "REDUCED_REDUNDANCY",
    "GLACIER_IR",
];
/// Checksums that can be computed here.
const CHECKSUMS: &[&str] = &["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// Refuses what would be taken for something else.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let place = Place::of(request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    let names: Vec<&str> = query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .filter(|name| !name.is_empty())
        .collect();
    check_query(request.method(), place, &names)?;
    check_headers(request.headers())?;
    if request.method() == Method::PUT && request.headers().contains_key(CONTENT_RANGE) {
        return Err(not_here("a PUT of a part of an object by the header Content-Range"));
    }
    Ok(())
}

fn check_query(method: &Method, place: Place, names: &[&str]) -> Result<(), Refusal> {
    let resources = resources(method, place);
    let known = |name: &str| {
        PARAMETERS.contains(&name)
            || resources.contains(&name)
            // S3 leaves these to the client, for its own logs.
            || (name.starts_with("x-") && !name.starts_with("x-amz-"))
    };
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(not_here(&format!("{method} with the parameter `{unknown}`")));
    }
    if method == Method::PUT && place == Place::Object {
        let has = |name: &str| names.contains(&name);
        if has("partNumber") != has("uploadId") {
            return Err(invalid("a part needs both partNumber and uploadId; nothing was stored"));
        }
        if has("versionId") && !resources.iter().any(|resource| has(resource)) {
            return Err(invalid("an object is not stored under a version id of the client's"));
        }
    }
    Ok(())
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    for (name, value) in headers {
        let Some(short) = name.as_str().strip_prefix("x-amz-") else { continue };
        if short.starts_with("meta-") {
            continue;
        }
        if !HEADERS.contains(&short) {
            return Err(not_here(&format!("the header {name}")));
        }
        let value = value.to_str().unwrap_or_default().trim();
        let value_is_known = match short {
            "storage-class" => CLASSES.contains(&value),
            "server-side-encryption" => value == "AES256",
            "checksum-algorithm" | "sdk-checksum-algorithm" => {
                CHECKSUMS.iter().any(|known| value.eq_ignore_ascii_case(known))
            }
            "expected-bucket-owner" | "source-expected-bucket-owner" if value != ACCOUNT => {
                let message = format!("{name} is {value}, but the local buckets are {ACCOUNT}'s");
                return Err(Refusal { status: 403, code: "AccessDenied", message });
            }
            "acl"
                if !matches!(
                    value,
                    "private" | "bucket-owner-full-control" | "bucket-owner-read"
                ) =>
            {
                let message = format!("The bucket does not allow ACLs: {name} is {value}");
                return Err(Refusal {
                    status: 400,
                    code: "AccessControlListNotSupported",
                    message,
                });
            }
            "object-ownership" => value == "BucketOwnerEnforced",
            "bucket-object-lock-enabled"
            | "bypass-governance-retention"
            | "server-side-encryption-bucket-key-enabled" => value.eq_ignore_ascii_case("false"),
            _ => true,
        };
        if !value_is_known {
            return Err(not_here(&format!("the header {name} with the value {value}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(), String> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).map_err(|refusal| refusal.message)
    }

    #[test]
    fn an_unknown_sub_resource_is_no_put() {
        for query in ["renameObject", "encryption", "append", "anything=1", "uploads", "attributes"]
        {
            let refused = ask("PUT", &format!("/b/k?{query}"), &[]).unwrap_err();
            let name = query.split('=').next().unwrap();
            assert!(refused.contains(&format!("`{name}`")), "{refused}");
        }
        for query in ["", "x-id=PutObject", "partNumber=1&uploadId=u", "tagging", "acl", "x-mine=1"]
        {
            ask("PUT", &format!("/b/k?{query}"), &[]).unwrap();
        }
        for query in ["partNumber=1", "uploadId=u", "versionId=v"] {
            ask("PUT", &format!("/b/k?{query}"), &[]).unwrap_err();
        }
    }

    #[test]
    fn other_methods_and_places_have_sub_resources_of_their_own() {
        ask("GET", "/b?list-type=2&prefix=a&delimiter=%2F", &[]).unwrap();
        ask("GET", "/b/?versions", &[]).unwrap();
        ask("GET", "/", &[]).unwrap();
        ask("POST", "/b?delete", &[]).unwrap();
        ask("DELETE", "/b/k?versionId=1&x-id=DeleteObject", &[]).unwrap();
        ask("DELETE", "/b?analytics&id=1", &[]).unwrap();
        ask("DELETE", "/b?website", &[]).unwrap();
        ask("PUT", "/b?accelerate", &[]).unwrap();
        for (method, uri) in [
            ("DELETE", "/b/k?metadataConfiguration"),
            ("GET", "/b?renameObject"),
            ("GET", "/b/k?versions"),
            ("DELETE", "/b?abac"),
            ("DELETE", "/b?acl"),
            ("DELETE", "/b?versioning"),
            ("DELETE", "/b/k?uploads"),
            ("PUT", "/b?location"),
        ] {
            ask(method, uri, &[]).unwrap_err();
        }
    }

    #[test]
    fn an_unknown_header_of_s3_is_refused_by_name() {
        for name in [
            "x-amz-write-offset-bytes",
            "x-amz-rename-source",
            "x-amz-object-lock-mode",
            "x-amz-website-redirect-location",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-grant-read",
            "x-amz-checksum-xxhash128",
            "x-amz-if-match-size",
            "x-amz-mfa",
        ] {
            let refused = ask("PUT", "/b/k", &[(name, "1")]).unwrap_err();
            assert!(refused.contains(name), "{refused}");
        }
        ask("PUT", "/b/k", &[("x-amz-meta-anything", "1"), ("x-amz-date", "2")]).unwrap();
        ask("PUT", "/b/k", &[("content-range", "bytes 0-1/2")]).unwrap_err();
    }

    #[test]
    fn a_known_header_is_refused_where_its_value_asks_for_more_than_there_is() {
        for (name, value) in [
            ("x-amz-storage-class", "DEEP_ARCHIVE"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-acl", "public-read"),
            ("x-amz-expected-bucket-owner", "111122223333"),
            ("x-amz-sdk-checksum-algorithm", "SHA512"),
            ("x-amz-bucket-object-lock-enabled", "true"),
        ] {
            ask("PUT", "/b/k", &[(name, value)]).unwrap_err();
        }
        for (name, value) in [
            ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-acl", "private"),
            ("x-amz-expected-bucket-owner", ACCOUNT),
            ("x-amz-sdk-checksum-algorithm", "crc32"),
            ("x-amz-bucket-object-lock-enabled", "false"),
            ("x-amz-api-version", "2006-03-01"),
        ] {
            ask("PUT", "/b/k", &[(name, value)]).unwrap();
        }
    }
}
