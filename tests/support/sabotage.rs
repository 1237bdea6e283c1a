//! A guard that is missing: taken out of requests on their way, to see that a layer notices.

use bytes::Bytes;
use hyper::Request;
use hyper::header::CONTENT_LENGTH;
use serde_json::Value;

/// A guard that is taken out of every request on its way, to see that the layer notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// T1 without its revision: a stale event moves the head back.
    ObserveAnyRevision,
    /// T12 without its states: what is committed is called overtaken.
    SupersedeAnyState,
}

impl Sabotage {
    pub(crate) fn spoil(self, request: Request<Bytes>) -> Request<Bytes> {
        if !self.is_for(&request) {
            return request;
        }
        let (mut head, body) = request.into_parts();
        let mut input: Value = serde_json::from_slice(&body).unwrap();
        let condition = input["ConditionExpression"].as_str().unwrap();
        let always = format!("({condition}) OR attribute_exists(#pk)");
        input["ConditionExpression"] = always.into();
        input["ExpressionAttributeNames"]["#pk"] = "pk".into();
        let body = Bytes::from(input.to_string());
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        Request::from_parts(head, body)
    }

    /// Whether this is an update that the guard stands in.
    pub(crate) fn is_for(self, request: &Request<Bytes>) -> bool {
        let target = request.headers().get("x-amz-target");
        target.is_some_and(|target| target.as_bytes().ends_with(b"UpdateItem"))
            && self.concerns(&serde_json::from_slice(request.body()).unwrap())
    }

    fn concerns(self, input: &Value) -> bool {
        let update = input["UpdateExpression"].as_str().unwrap_or_default();
        let sets = |name: &str| update.contains(&format!("#{name} = "));
        let item = input["Key"]["sk"]["S"].as_str().unwrap_or_default();
        match self {
            Sabotage::ObserveAnyRevision => item == "S" && sets("head_version"),
            Sabotage::SupersedeAnyState => {
                let values = input["ExpressionAttributeValues"].as_object().unwrap();
                let to = |value: &Value| value["S"] == "SUPERSEDED";
                item == "J" && sets("state") && values.values().any(to) && !sets("manifest")
            }
        }
    }
}
