//! Rowproof's own messages. They name things and carry no rows.

use serde::{Deserialize, Serialize};

use crate::ids::JobId;

/// Version of the messages' form.
pub const SCHEMA: u32 = 1;

/// A message of Rowproof to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// [`SCHEMA`].
    pub rowproof: u32,
    /// What to do.
    #[serde(flatten)]
    pub task: Task,
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Process one chunk.
    Chunk {
        /// Its job.
        job: JobId,
        /// Its number.
        chunk: u32,
        /// Which part of it, for one that was split.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
    },
    /// Take a job on from wherever it stands.
    Job {
        /// The job.
        job: JobId,
    },
    /// Observe an object as if it had just been uploaded.
    Observe {
        /// Bucket.
        bucket: String,
        /// Key, not URL-encoded.
        key: String,
        /// Start a new generation.
        restart: Restart,
    },
    /// A chunk failed for good (`chunk` is absent when the whole job did).
    Failed {
        /// Its job.
        job: JobId,
        /// Its number.
        chunk: Option<u32>,
        /// Which part of it, for one that was split.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
        /// Stable code.
        code: String,
    },
    /// Bring back what failed for good: the chunks of a job, and the job itself.
    Redrive {
        /// The job.
        job: JobId,
        /// The job's revision that was decided at; absent: whatever it is now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<i64>,
        /// Only chunks that failed with this code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        /// Names the request: it brings a chunk back once, however often it is delivered.
        request: String,
    },
    /// Replay failed rows of a job.
    Replay {
        /// Key of the request in the output bucket.
        request: String,
    },
    /// A pipeline's sink does not answer: told once an outage. Work goes on by itself when it does.
    SinkUnavailable {
        /// The pipeline.
        pipeline: String,
        /// What was tried, and the error code; no values.
        cause: String,
    },
}

/// When to process an object again although this version of it was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Never.
    No,
    /// When the pipeline file is another one than it was processed under.
    IfChanged,
    /// Always.
    Always,
    /// Always, also when a later file of another key holds the slot.
    Force,
}

impl Message {
    /// A message for this task.
    pub fn new(task: Task) -> Message {
        Message { rowproof: SCHEMA, task }
    }

    /// The message's body.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a body; `None` when it is not one of Rowproof's.
    pub fn from_json(body: &serde_json::Value) -> Option<Message> {
        body.get("rowproof")?;
        serde_json::from_value(body.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let job = JobId("abc".into());
        let tasks = [
            Task::Chunk { job: job.clone(), chunk: 7, part: String::new() },
            Task::Chunk { job: job.clone(), chunk: 7, part: "01".into() },
            Task::Job { job: job.clone() },
            Task::Redrive { job: job.clone(), rev: None, cause: None, request: "r".into() },
            Task::Redrive {
                job: job.clone(),
                rev: Some(3),
                cause: Some("poison".into()),
                request: "r".into(),
            },
            Task::Observe { bucket: "b".into(), key: "k".into(), restart: Restart::IfChanged },
            Task::Failed { job, chunk: None, part: String::new(), code: "truncated".into() },
            Task::Replay { request: "_replays/x.json".into() },
            Task::SinkUnavailable { pipeline: "orders".into(), cause: "timed out".into() },
        ];
        for task in tasks {
            let message = Message::new(task);
            let body = serde_json::from_str(&message.to_json()).unwrap();
            assert_eq!(Message::from_json(&body), Some(message));
        }
    }

    #[test]
    fn a_foreign_body_is_not_a_message() {
        assert_eq!(Message::from_json(&serde_json::json!({"kind": "job", "job": "x"})), None);
    }
}
