//! What the transport and the signature put around a request to S3, taken off again.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Body as HttpBody;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use crate::chunked::{ChunkedBody, Trailers};
use crate::events::percent_decode;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a presigned URL adds to the query, in either version of the signature.
fn belongs_to_signature(name: &str) -> bool {
    let of_signature = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "X-Amz-Content-Sha256",
        "X-Amz-User-Agent",
        "AWSAccessKeyId",
        "Signature",
        "Expires",
    ];
    of_signature.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Takes the signature out of the query of a presigned URL. Headers that were signed into the query
/// become headers: S3 heeds them there. But not checksums, which a signer computed of no body.
fn unsign(head: &mut Parts) -> Result<(), BoxError> {
    let Some(query) = head.uri.query().filter(|query| query.contains("Signature=")) else {
        return Ok(());
    };
    let mut kept: Vec<&str> = vec![];
    let mut hoisted: Vec<(String, String)> = vec![];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if belongs_to_signature(name) {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        match lower.strip_prefix("x-amz-") {
            Some(header) if header.contains("checksum") => {}
            Some(_) => hoisted.push((lower, percent_decode(value)?)),
            None => kept.push(pair),
        }
    }
    let uri = format!("{}?{}", head.uri.path(), kept.join("&")).parse()?;
    for (name, value) in hoisted {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        if !head.headers.contains_key(&name) {
            head.headers.insert(name, HeaderValue::from_str(&value)?);
        }
    }
    head.uri = uri;
    Ok(())
}

/// Takes the signature and the `aws-chunked` framing off a request, for the protocol crate would
/// check the one and collect each chunk of the other before it hands it on.
pub(crate) fn prepare<B>(request: Request<B>) -> Result<Request<s3s::Body>, BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    head.headers.remove(AUTHORIZATION);
    unsign(&mut head)?;
    let framed = head
        .headers
        .get("x-amz-content-sha256")
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    head.headers.remove("x-amz-content-sha256");
    if !framed {
        let body = body.map_err(Into::<BoxError>::into);
        return Ok(Request::from_parts(head, s3s::Body::http_body(body)));
    }
    let length = head.headers.remove("x-amz-decoded-content-length");
    let length = length.ok_or("a framed body needs x-amz-decoded-content-length")?;
    let bytes: u64 = length.to_str()?.trim().parse()?;
    head.headers.insert(CONTENT_LENGTH, length);
    head.headers.remove(hyper::header::TRANSFER_ENCODING);
    let encodings = head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encodings: Vec<&str> = encodings
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|encoding| *encoding != "aws-chunked" && !encoding.is_empty())
        .collect();
    let encodings = encodings.join(",");
    head.headers.remove(CONTENT_ENCODING);
    if !encodings.is_empty() {
        head.headers.insert(CONTENT_ENCODING, encodings.parse()?);
    }
    let trailers = Trailers::default();
    head.extensions.insert(trailers.clone());
    let body = ChunkedBody::new(body, bytes, trailers);
    Ok(Request::from_parts(head, s3s::Body::http_body(body)))
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn prepared(uri: &str) -> Request<s3s::Body> {
        prepare(Request::builder().uri(uri).body(Full::new(Bytes::new())).unwrap()).unwrap()
    }

    #[test]
    fn a_signature_in_the_url_goes_and_what_was_signed_with_it_stays() {
        let request = prepared(
            "/b/k?X-Amz-Algorithm=A&X-Amz-Date=1&versionId=v&x-amz-acl=private&X-Amz-Meta-M=a%20b\
             &x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Signature=s",
        );
        assert_eq!(request.uri(), "/b/k?versionId=v");
        assert_eq!(request.headers()["x-amz-acl"], "private");
        assert_eq!(request.headers()["x-amz-meta-m"], "a b");
        assert!(!request.headers().contains_key("x-amz-checksum-crc32"));
    }

    #[test]
    fn without_a_signature_the_url_stays_as_it_is() {
        assert_eq!(prepared("/b/k?Expires=1&x-amz-a=b").uri(), "/b/k?Expires=1&x-amz-a=b");
    }
}
