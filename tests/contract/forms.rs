//! Forms that a browser posts.

use rowproof_local::LocalAws;

use crate::raw::{ask, ask_service, field, local};

/// `{"expiration": ..., "conditions": [{"bucket": "input"}, ["starts-with", "$key", "in/"],
/// ["starts-with", "$success_action_status", ""], ["starts-with", "$Content-Type", ""],
/// ["content-length-range", 0, 100], ["starts-with", "$x-amz-meta-m", ""], {"x-amz-algorithm": ...},
/// {"x-amz-credential": ...}, {"x-amz-date": "20260102T000000Z"}]}`, which expires in 2199 or at one
/// o'clock, with its signature by the key `rowproof`.
const UNTIL_2199: (&str, &str) = (
    "eyJleHBpcmF0aW9uIjoiMjE5OS0wMS0wMVQwMD",
    "2960f2e8c6504a6413409d80cd05404c775ca62a812bb6edca4edeeac69532da",
);
const UNTIL_ONE: (&str, &str) = (
    "eyJleHBpcmF0aW9uIjoiMjAyNi0wMS0wMlQwMT",
    "3d9e664b211107116e5d1f5ea2da655a0fca0290f0e079be61b3258d3d5ac224",
);
const CONDITIONS: &str = "owMDowMC4wMDBaIiwiY29uZGl0aW9ucyI6W3siYnVja2V0IjoiaW5wdXQifSxbInN0YXJ0cy13aXRoIiwiJGtleS\
    IsImluLyJdLFsic3RhcnRzLXdpdGgiLCIkc3VjY2Vzc19hY3Rpb25fc3RhdHVzIiwiIl0sWyJzdGFydHMtd2l0aC\
    IsIiRDb250ZW50LVR5cGUiLCIiXSxbImNvbnRlbnQtbGVuZ3RoLXJhbmdlIiwwLDEwMF0sWyJzdGFydHMtd2l0aC\
    IsIiR4LWFtei1tZXRhLW0iLCIiXSx7IngtYW16LWFsZ29yaXRobSI6IkFXUzQtSE1BQy1TSEEyNTYifSx7IngtYW\
    16LWNyZWRlbnRpYWwiOiJyb3dwcm9vZi8yMDI2MDEwMi91cy1lYXN0LTEvczMvYXdzNF9yZXF1ZXN0In0seyJ4LW\
    Ftei1kYXRlIjoiMjAyNjAxMDJUMDAwMDAwWiJ9XX0=";

struct Form {
    policy: (&'static str, &'static str),
    fields: Vec<(&'static str, String)>,
    file: &'static str,
}

impl Form {
    fn new(key: &str) -> Self {
        Self { policy: UNTIL_2199, fields: vec![("key", key.to_owned())], file: "id\n1\n" }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    fn body(&self, signature: &str) -> String {
        let (expiration, _) = self.policy;
        let signed = [
            ("policy", format!("{expiration}{CONDITIONS}")),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", "rowproof/20260102/us-east-1/s3/aws4_request".to_owned()),
            ("x-amz-date", "20260102T000000Z".to_owned()),
            ("x-amz-signature", signature.to_owned()),
        ];
        let field = |(name, value): &(&str, String)| {
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let fields: String = self.fields.iter().chain(&signed).map(field).collect();
        format!(
            "{fields}--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
             Content-Type: text/csv\r\n\r\n{}\r\n--edge--\r\n",
            self.file
        )
    }

    async fn post_with(
        &self,
        aws: &LocalAws,
        signature: &str,
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let mut all = vec![("content-type", "multipart/form-data; boundary=edge")];
        all.extend(headers);
        let answer = ask_service(aws, "", "POST /input", &all, self.body(signature)).await;
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    }

    async fn post(&self, aws: &LocalAws) -> (u16, String) {
        self.post_with(aws, self.policy.1, &[]).await
    }
}

#[tokio::test]
async fn a_signed_form_stores_its_file() {
    let aws = local();
    let form = Form::new("in/a.csv").with("x-amz-meta-m", "1").with("Content-Type", "text/csv");
    assert_eq!(form.post(&aws).await, (204, String::new()));
    let get = ask_service(&aws, "s3", "GET /input/in/a.csv", &[], "").await;
    assert_eq!(get.body().as_ref(), b"id\n1\n");
    assert_eq!(get.headers()["x-amz-meta-m"], "1");
    assert_eq!(get.headers()["content-type"], "text/csv");
    let created = Form::new("in/b.csv").with("success_action_status", "201").post(&aws).await;
    assert_eq!(created.0, 201);
    assert_eq!(field(&created.1, "Key"), Some("in/b.csv"), "{created:?}");
}

#[tokio::test]
async fn a_form_is_refused_that_its_policy_or_signature_does_not_cover() {
    let aws = local();
    let code =
        |answer: (u16, String)| (answer.0, field(&answer.1, "Code").unwrap_or("").to_owned());
    let wrong = Form::new("in/a.csv").post_with(&aws, &"0".repeat(64), &[]).await;
    assert_eq!(code(wrong), (403, "SignatureDoesNotMatch".to_owned()));
    let expired = Form { policy: UNTIL_ONE, ..Form::new("in/a.csv") }.post(&aws).await;
    assert_eq!(code(expired), (403, "AccessDenied".to_owned()));
    assert_eq!(Form::new("elsewhere/a.csv").post(&aws).await.0, 400);
    let more = Form::new("in/a.csv").with("Cache-Control", "none").post(&aws).await;
    assert_eq!(code(more), (403, "AccessDenied".to_owned()));
    let named = Form::new("in/${filename}").post(&aws).await;
    assert_eq!(code(named), (501, "NotImplemented".to_owned()));
    let (_, listed) = ask(&aws, "GET /input?list-type=2", &[], "").await;
    assert_eq!(field(&listed, "Key"), None);
}

#[tokio::test]
async fn a_form_of_a_page_of_another_machine_is_refused() {
    let aws = local();
    let form = Form::new("in/a.csv");
    for (origin, status) in
        [("https://example.com", 403), ("null", 403), ("http://localhost:3000", 204)]
    {
        let answer = form.post_with(&aws, form.policy.1, &[("origin", origin)]).await;
        assert_eq!(answer.0, status, "{origin}");
    }
}
