//! Who signed a request, and for which service.

use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};

use crate::faults::FAULTED_ACCESS_KEY;

/// Rowproof's own requests are signed with this key: what they store gets an entity tag that costs
/// less than the MD5 that clients look for.
pub const OWN_ACCESS_KEY: &str = "rowproof-functions";

/// A mark on a request of Rowproof's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnRequest;

/// The scope of a signature of version 4: `KEY/date/region/service/aws4_request`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    /// Empty where the signature does not say it.
    pub(crate) service: String,
}

impl Scope {
    /// From the header or, for a presigned URL, from the query.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let in_header = header.and_then(|value| value.split_once("Credential="));
        if let Some((_, rest)) = in_header {
            return Some(Self::parse(rest.split(',').next().unwrap_or_default()));
        }
        let pairs = request.uri().query()?.split('&');
        let mut credentials = pairs.filter_map(|pair| pair.strip_prefix("X-Amz-Credential="));
        credentials.next().map(|credential| Self::parse(&credential.replace("%2F", "/")))
    }

    fn parse(credential: &str) -> Self {
        // A key may hold slashes, the four fields behind it do not.
        let mut fields = credential.trim().rsplitn(5, '/');
        let service = fields.nth(1).unwrap_or_default().to_owned();
        match fields.nth(2) {
            Some(access_key) => Self { access_key: access_key.to_owned(), service },
            None => {
                let access_key = credential.split('/').next().unwrap_or_default().to_owned();
                Self { access_key, service: String::new() }
            }
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        self.access_key == OWN_ACCESS_KEY || self.access_key == FAULTED_ACCESS_KEY
    }
}

/// Signatures are not computed again, that would cost a hash over every upload and prove nothing
/// on loopback. But there has to be one: no web page can make a browser send it. (In the URL a page
/// could put one, so not for POST, the one writing method that a page may use unasked.)
pub(crate) fn is_signed<B>(request: &Request<B>) -> bool {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let in_url = request.uri().query().is_some_and(|query| query.contains("Signature="));
    header.is_some_and(|value| value.contains("Credential="))
        || (in_url && request.method() != Method::POST)
}

/// Whether this is a form that a browser posts. Its fields are signed, and that signature is checked.
pub(crate) fn is_form<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    request.method() == Method::POST
        && kind.is_some_and(|kind| {
            kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
        })
}

/// Whether a page of another machine sent this: browsers name it in `Origin`, other clients send none.
pub(crate) fn comes_from_elsewhere<B>(request: &Request<B>) -> bool {
    let Some(origin) = request.headers().get("origin") else { return false };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = host.map_or("", |(_, host)| host);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    !(matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(credential: &str) -> Scope {
        let value = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host");
        let request = Request::builder().header(AUTHORIZATION, value).body(()).unwrap();
        Scope::of(&request).unwrap()
    }

    #[test]
    fn a_signature_says_the_key_and_the_service() {
        let scope = signed("rowproof/20260102/us-east-1/lambda/aws4_request");
        assert_eq!((scope.access_key.as_str(), scope.service.as_str()), ("rowproof", "lambda"));
        let scope = signed("a/b/20260102/us-east-1/s3/aws4_request");
        assert_eq!((scope.access_key.as_str(), scope.service.as_str()), ("a/b", "s3"));
        assert_eq!(signed("x/").service, "");
        assert!(signed("rowproof-functions/20260102/us-east-1/s3/aws4_request").is_own());
        assert!(!signed("rowproof/20260102/us-east-1/s3/aws4_request").is_own());
    }

    #[test]
    fn a_presigned_url_says_them_as_well() {
        let uri = "/b/k?X-Amz-Credential=rowproof%2F20260102%2Fus-east-1%2Fs3%2Faws4_request";
        let scope = Scope::of(&Request::builder().uri(uri).body(()).unwrap()).unwrap();
        assert_eq!((scope.access_key.as_str(), scope.service.as_str()), ("rowproof", "s3"));
    }

    #[test]
    fn a_page_of_another_machine_is_told_by_its_origin() {
        let from = |origin: &str| {
            comes_from_elsewhere(&Request::builder().header("origin", origin).body(()).unwrap())
        };
        assert!(!comes_from_elsewhere(&Request::builder().body(()).unwrap()));
        assert!(!from("http://localhost:3000") && !from("http://127.0.0.1"));
        assert!(!from("http://app.localhost:3000") && !from("http://[::1]:80"));
        assert!(from("https://example.com") && from("null") && from("http://localhost.evil.com"));
    }
}
