//! What becomes of a request, and of the environment that sent it.

use bytes::Bytes;
use hyper::Response;
use rowproof_local::faults::{self, Class};

use super::{EPOCH_MS, OPERATOR, Sim};
use crate::names::hash;
use crate::net::{Pending, Reply};

impl Sim<'_> {
    /// A request reaches its service.
    pub(super) async fn deliver(&mut self, mut pending: Pending) {
        self.report.requests += 1;
        let from = pending.from;
        if self.crashes(from, "before") {
            return self.kill(from);
        }
        let reply = self.answer(&mut pending).await;
        let status = match &reply {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => 0,
        };
        let fault = pending.fault.map_or("", |fault| fault.class.name());
        let line = format!("{from} {} {:x} {status} {fault}", pending.call, pending.rank);
        self.log(&line);
        if self.crashes(from, "applied") {
            return self.kill(from);
        }
        if let Some(waiting) = pending.reply.take() {
            // The environment may have been killed meanwhile.
            waiting.send(reply).ok();
        }
        if self.crashes(from, "replied") || self.is_poison(&pending) {
            self.kill(from);
        }
    }

    /// Whether a worker has just got the bytes that none survives decoding. What only looks for
    /// records, to plan chunks or to cut one in halves, survives them.
    fn is_poison(&mut self, pending: &Pending) -> bool {
        let Some((key, byte)) = &self.plan.poison else { return false };
        let range = pending.request.headers().get("range").and_then(|range| range.to_str().ok());
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let covers = range.is_some_and(|(first, last)| {
            (first.parse().unwrap()..=last.parse().unwrap()).contains(byte)
        });
        covers
            && pending.from != OPERATOR
            && pending.call.is_download
            && pending.call.key.starts_with(&format!("/input/{key} "))
            && self.watch.decodes(pending.from)
    }

    /// Whether the sink does not answer now.
    fn is_out(&self, pending: &Pending) -> bool {
        let now = self.timeline.now_ms() - EPOCH_MS;
        let outage = self.plan.outage.as_ref().filter(|outage| outage.contains(&now));
        outage.is_some()
            && pending.call.is_write
            && pending.call.key.starts_with("/output/_staging/")
    }

    fn log(&mut self, line: &str) {
        let seconds = (self.timeline.now_ms() - EPOCH_MS) as f64 / 1000.0;
        if self.plan.verbose {
            println!("{seconds:10.3} {line}");
        }
        self.report.log = hash(self.report.log, &format!("{seconds} {line}"));
    }

    async fn answer(&mut self, pending: &mut Pending) -> Reply {
        if self.is_out(pending) {
            return Err("injected: the sink does not answer".into());
        }
        let Some(fault) = pending.fault else { return Ok(self.apply(pending).await) };
        match fault.class {
            Class::Refuse => Err("injected: connection refused".into()),
            Class::Unavailable => Ok(faults::unavailable(&pending.call)),
            Class::Throttle => Ok(faults::throttled(&pending.call)),
            Class::Conflict => Ok(faults::conflict(&pending.call)),
            Class::Lose => {
                self.apply(pending).await;
                Err("injected: connection reset".into())
            }
            Class::Late => {
                self.net.push(Pending {
                    due: self.timeline.now_ms() + fault.delay.as_millis() as u64,
                    fault: None,
                    reply: None,
                    call: pending.call.clone(),
                    request: pending.request.clone(),
                    ..*pending
                });
                Err("injected: connection reset".into())
            }
            Class::Twice => {
                self.apply(pending).await;
                Ok(self.apply(pending).await)
            }
            Class::Truncate => {
                let whole = self.apply(pending).await;
                Ok(whole.map(|body| match body.len() as u64 {
                    0 => body,
                    len => body.slice(..(fault.chance % len) as usize),
                }))
            }
            Class::Slow | Class::MessageTwice | Class::MessageLate | Class::MessageLost => {
                Ok(self.apply(pending).await)
            }
        }
    }

    async fn apply(&mut self, pending: &Pending) -> Response<Bytes> {
        let request = match self.plan.sabotage {
            Some(sabotage) if !self.calm => sabotage.spoil(pending.request.clone()),
            Some(_) | None => pending.request.clone(),
        };
        let mut answer = self.local.handler().call(request).await;
        // What a cut-off body is recognised by.
        if pending.call.is_download {
            let length = answer.body().len().into();
            answer.headers_mut().insert("content-length", length);
        }
        self.watch.after(pending.from, &pending.call, &pending.request, &answer).await;
        answer
    }

    fn crashes(&mut self, from: usize, stage: &str) -> bool {
        if self.calm || from == OPERATOR {
            return false;
        }
        self.report.boundaries += 1;
        let here = self.report.boundaries;
        self.plan.crash_at.contains(&here) || self.chance(self.plan.crash_parts, stage, here)
    }

    /// The environment's process is gone, with all it had in memory.
    pub(super) fn kill(&mut self, id: usize) {
        let Some(at) = self.environments.iter().position(|environment| environment.id == id) else {
            return;
        };
        self.report.crashes += 1;
        self.log(&format!("{id} is killed"));
        self.net.orphan(id);
        if let Some(invocation) = self.environments[at].busy.take() {
            invocation.task.abort();
            // Lambda may find out and say so, or the message waits until its time is over.
            if hash(self.plan.seed, &format!("found {}", self.report.crashes)).is_multiple_of(2) {
                invocation.taken.settle(None);
            }
        }
        self.restart(at);
    }
}
