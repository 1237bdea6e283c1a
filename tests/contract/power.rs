//! The process ends between any two changes of the disk. Whatever was there then, the folder can be
//! used again: all that was answered is there, what was not is there whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use hyper::Response;
use rowproof_local::faults::PowerCut;
use rowproof_local::{LocalAws, LocalError, Options};

use crate::raw::{ask_service, field, fields};

const ON: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
/// More changes than a session makes.
const STEPS_MAX: u64 = 1_000;

fn open(dir: &Path, cut: Option<PowerCut>) -> Result<LocalAws, LocalError> {
    let buckets = vec![("input".to_owned(), false)];
    let dir = Some(dir.to_owned());
    LocalAws::in_process(Options { dir, buckets, power_cut: cut, ..Options::default() })
}

/// What may be stored under a path: one text, or while an answer is missing any of two. `None` is
/// nothing.
type May = BTreeSet<Option<String>>;

/// A client that knows what was answered.
struct Session {
    aws: LocalAws,
    may: BTreeMap<String, May>,
    /// Ids of the versions that were answered, with their texts.
    versions: BTreeMap<String, String>,
    over: bool,
}

impl Session {
    fn new(aws: LocalAws) -> Self {
        Self { aws, may: BTreeMap::new(), versions: BTreeMap::new(), over: false }
    }

    async fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
        ask_service(&self.aws, "s3", request, headers, body.to_owned()).await
    }

    /// A change that sets what is under a path. After one that fails nothing more is asked for.
    async fn change(
        &mut self,
        request: &str,
        headers: &[(&str, &str)],
        body: &str,
        (path, to): (&str, Option<&str>),
    ) -> Option<Response<Bytes>> {
        if self.over {
            return None;
        }
        let answer = self.ask(request, headers, body).await;
        let to = to.map(str::to_owned);
        let may = self.may.entry(path.to_owned()).or_insert_with(|| May::from([None]));
        if answer.status().is_success() {
            *may = May::from([to]);
            return Some(answer);
        }
        may.insert(to);
        self.over = true;
        None
    }

    async fn put(&mut self, path: &str, text: &str) {
        let request = format!("PUT {path}");
        let headers = [("x-amz-meta-m", text)];
        let answer = self.change(&request, &headers, text, (path, Some(text))).await;
        if let Some(answer) = answer
            && let Some(id) = answer.headers().get("x-amz-version-id")
        {
            self.versions.insert(id.to_str().unwrap().to_owned(), text.to_owned());
        }
    }

    async fn delete(&mut self, path: &str) {
        self.change(&format!("DELETE {path}"), &[], "", (path, None)).await;
    }

    /// A part is sent, sent again, and becomes an object.
    async fn upload(&mut self, path: &str) {
        let nothing = ("", None);
        let started = self.change(&format!("POST {path}?uploads"), &[], "", nothing).await;
        let Some(started) = started else { return };
        let text = String::from_utf8_lossy(started.body()).into_owned();
        let id = field(&text, "UploadId").unwrap();
        let part = format!("PUT {path}?partNumber=1&uploadId={id}");
        self.change(&part, &[], "first try", nothing).await;
        let Some(sent) = self.change(&part, &[], "the part", nothing).await else { return };
        let tag = sent.headers()["etag"].to_str().unwrap().to_owned();
        let request = format!("POST {path}?uploadId={id}");
        self.change(&request, &[], &parts(&tag), (path, Some("the part"))).await;
    }

    /// All kinds of changes, in an order in which each meets what another one left.
    async fn work(&mut self) {
        for text in ["one", "two"] {
            self.put("/input/a", text).await;
        }
        // Keys that cannot be paths beside it: a marker, and one below a file.
        self.put("/input/b/", "").await;
        self.put("/input/a/below", "odd").await;
        let copy = [("x-amz-copy-source", "/input/a")];
        self.change("PUT /input/in/c", &copy, "", ("/input/in/c", Some("two"))).await;
        self.upload("/input/in/m").await;
        let dropped = self.change("POST /input/x?uploads", &[], "", ("", None)).await;
        if let Some(dropped) = dropped {
            let text = String::from_utf8_lossy(dropped.body()).into_owned();
            let request = format!("DELETE /input/x?uploadId={}", field(&text, "UploadId").unwrap());
            self.change(&request, &[], "", ("", None)).await;
        }
        self.delete("/input/in/c").await;
        self.delete("/input/a/below").await;
        self.change("PUT /kept", &[], "", ("", None)).await;
        self.put("/kept/v", "before versions").await;
        self.change("PUT /kept?versioning", &[], ON, ("", None)).await;
        for text in ["v1", "v2"] {
            self.put("/kept/v", text).await;
        }
        self.delete("/kept/v").await;
        self.put("/kept/v", "v3").await;
    }
}

fn parts(tag: &str) -> String {
    let tag = tag.trim_matches('"');
    format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;{tag}&quot;</ETag>\
         </Part></CompleteMultipartUpload>"
    )
}

/// What a fresh process finds.
async fn look(session: &Session, when: u64) {
    for (path, may) in session.may.iter().filter(|(path, _)| !path.is_empty()) {
        let got = session.ask(&format!("GET {path}"), &[], "").await;
        let text = String::from_utf8_lossy(got.body()).into_owned();
        let found = got.status().is_success().then_some(text);
        assert!(may.contains(&found), "cut {when}: {path} is {found:?}, not one of {may:?}");
        let meta = got.headers().get("x-amz-meta-m").map(|value| value.to_str().unwrap());
        let wrong = meta.is_some_and(|meta| Some(meta) != found.as_deref());
        assert!(!wrong, "cut {when}: {path} has the headers of {meta:?}");
    }
    for bucket in ["input", "kept"] {
        let listed = session.ask(&format!("GET /{bucket}?list-type=2"), &[], "").await;
        let listed = String::from_utf8_lossy(listed.body()).into_owned();
        for key in fields(&listed, "Key") {
            let path = format!("/{bucket}/{key}");
            let may = session.may.get(&path).unwrap_or_else(|| panic!("cut {when}: {path}"));
            assert!(may.iter().any(Option::is_some), "cut {when}: {path} is listed");
        }
    }
    let listed = session.ask("GET /kept?versions", &[], "").await;
    let listed = String::from_utf8_lossy(listed.body()).into_owned();
    let latest = fields(&listed, "IsLatest").into_iter().filter(|latest| *latest == "true");
    assert!(latest.count() <= 1, "cut {when}: {listed}");
    for (id, text) in &session.versions {
        let got = session.ask(&format!("GET /kept/v?versionId={id}"), &[], "").await;
        assert_eq!(got.body(), text.as_bytes(), "cut {when}: version {id}");
        assert!(fields(&listed, "VersionId").contains(&id.as_str()), "cut {when}: {listed}");
    }
    look_at_uploads(session, when).await;
}

/// An upload that is listed holds what its parts say, and can be completed or given up.
async fn look_at_uploads(session: &Session, when: u64) {
    let listed = session.ask("GET /input?uploads", &[], "").await;
    let listed = String::from_utf8_lossy(listed.body()).into_owned();
    for (id, key) in fields(&listed, "UploadId").into_iter().zip(fields(&listed, "Key")) {
        let sent = session.ask(&format!("GET /input/{key}?uploadId={id}"), &[], "").await;
        let sent = String::from_utf8_lossy(sent.body()).into_owned();
        let Some(tag) = field(&sent, "ETag") else {
            let drop = session.ask(&format!("DELETE /input/{key}?uploadId={id}"), &[], "").await;
            assert_eq!(drop.status(), 204, "cut {when}");
            continue;
        };
        let tag = tag.replace("&quot;", "").replace('"', "");
        let request = format!("POST /input/{key}?uploadId={id}");
        let done = session.ask(&request, &[], &parts(&tag)).await;
        assert_eq!(done.status(), 200, "cut {when}");
        let got = session.ask(&format!("GET /input/{key}"), &[], "").await;
        let body = String::from_utf8_lossy(got.body()).into_owned();
        let put = session.ask("PUT /input/same", &[], &body).await;
        let same = put.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
        assert_eq!(same, tag, "cut {when}: the part holds {body:?}");
    }
}

#[tokio::test]
async fn a_process_can_end_at_any_change_of_the_disk() {
    let mut cuts = 0;
    for steps in 0..STEPS_MAX {
        let dir = tempfile::tempdir().unwrap();
        let cut = PowerCut::after(steps);
        let mut before = match open(dir.path(), Some(cut.clone())) {
            Ok(aws) => {
                let mut session = Session::new(aws);
                session.work().await;
                session
            }
            // Cut while it started.
            Err(_) => Session::new(crate::raw::local()),
        };
        before.aws = open(dir.path(), None).unwrap_or_else(|error| panic!("cut {steps}: {error}"));
        look(&before, steps).await;
        let tmp = std::fs::read_dir(dir.path().join(".rowproof/s3/input/tmp")).unwrap();
        assert_eq!(tmp.count(), 0, "cut {steps}");
        // And the same work can be done there.
        let mut again = Session::new(open(dir.path(), None).unwrap());
        again.work().await;
        assert!(!again.over, "cut {steps}");
        if !cut.has_happened() {
            break;
        }
        cuts += 1;
    }
    assert!((100..STEPS_MAX).contains(&cuts), "{cuts}");
}
