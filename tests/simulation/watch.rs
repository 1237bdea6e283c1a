//! Invariants that hold at every moment, looked at after every write.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::{Request, Response};
use rowproof_local::Handler;
use rowproof_local::faults::{Call, Service};
use serde_json::{Value, json};

use crate::setup;

/// Numbers that never fall.
const RISING: [&str; 4] = ["rev", "gen", "committed_gen", "epoch"];

#[derive(Debug)]
pub(crate) struct Watch {
    dir: PathBuf,
    handler: Handler,
    /// Items as they were, by key.
    items: HashMap<String, Value>,
    /// Generation and revision of each pointer.
    pointers: HashMap<String, (i64, i64)>,
    /// By environment: attempts of the chunk it leased last, whether that is part of one, and how
    /// often its bytes were read since.
    leases: HashMap<usize, (i64, bool, u32)>,
    pub(crate) violations: Vec<String>,
    /// The most attempts that any chunk was charged.
    pub(crate) attempts: i64,
}

impl Watch {
    pub(crate) fn new(dir: &Path, handler: Handler) -> Watch {
        Watch {
            dir: dir.to_owned(),
            handler,
            items: HashMap::new(),
            pointers: HashMap::new(),
            leases: HashMap::new(),
            violations: vec![],
            attempts: 0,
        }
    }

    /// Looks at what a request changed.
    pub(crate) async fn after(
        &mut self,
        from: usize,
        call: &Call,
        request: &Request<Bytes>,
        answer: &Response<Bytes>,
    ) {
        if !call.is_write || !answer.status().is_success() {
            return;
        }
        match call.service {
            Service::DynamoDb if call.operation == "UpdateItem" => {
                let input: Value = serde_json::from_slice(request.body()).unwrap();
                let ask = json!({ "TableName": "rowproof", "Key": input["Key"] });
                let item = setup::ask(&self.handler, "GetItem", &ask).await["Item"].clone();
                self.item(from, call.key.clone(), item);
            }
            Service::S3 if call.key.starts_with("/output/current/") => {
                let path = self.dir.join(call.key.trim_start_matches('/'));
                let current = std::fs::read(path).unwrap();
                self.pointer(call.key.clone(), &serde_json::from_slice(&current).unwrap());
            }
            Service::DynamoDb | Service::S3 | Service::Sqs => {}
        }
    }

    /// An environment reads a range: whether to decode it, not to cut it. A part that is one record
    /// is first looked at and then, until three have died over it, decoded after all.
    pub(crate) fn decodes(&mut self, from: usize) -> bool {
        let Some((attempts, is_part, reads)) = self.leases.get_mut(&from) else { return false };
        *reads += 1;
        match *is_part {
            false => *attempts <= 5,
            true => *attempts <= 1 || (*attempts <= 3 && *reads > 1),
        }
    }

    fn item(&mut self, from: usize, key: String, now: Value) {
        let number = |item: &Value, name: &str| {
            item[name]["N"].as_str().map_or(0, |text| text.parse::<i64>().unwrap())
        };
        let state = |item: &Value| item["state"]["S"].as_str().unwrap_or_default().to_owned();
        if state(&now) == "LEASED" {
            let before = self.items.get(&key).map(|before| number(before, "epoch"));
            if before != Some(number(&now, "epoch")) {
                self.leases.insert(from, (number(&now, "attempts"), key.contains('.'), 0));
            }
        }
        self.attempts = self.attempts.max(number(&now, "attempts"));
        if let Some(before) = self.items.get(&key) {
            for name in RISING {
                let (was, is) = (number(before, name), number(&now, name));
                if is < was {
                    self.violations.push(format!("{key}: {name} fell from {was} to {is}"));
                }
            }
            let was = state(before);
            let is_chunk = now["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with("C#"));
            // A replay that holds the job's lock puts its outcome in the place of the old one.
            let own =
                now["pk"]["S"].as_str().and_then(|pk| pk.split('#').nth(1)).unwrap_or_default();
            let job = self.items.get(&format!("pk=J#{own} sk=J"));
            let same = job.is_none_or(|job| job["replay"].is_null());
            let changed = state(&now) != "DONE" || before["outcome"] != now["outcome"];
            if is_chunk && was == "DONE" && same && changed {
                self.violations.push(format!("{key}: a DONE chunk changed"));
            }
            if ["COMMITTED", "SUPERSEDED"].contains(&was.as_str()) && state(&now) != was {
                self.violations.push(format!("{key}: {was} became {}", state(&now)));
            }
        }
        self.items.insert(key, now);
    }

    fn pointer(&mut self, key: String, now: &Value) {
        let number = |name: &str| now[name].as_i64().unwrap();
        let now = (number("generation"), number("revision"));
        let before = self.pointers.insert(key.clone(), now);
        if before.is_some_and(|before| now < before) {
            self.violations.push(format!("{key} went from {before:?} back to {now:?}"));
        }
    }
}
