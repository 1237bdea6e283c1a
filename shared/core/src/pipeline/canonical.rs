//! The canonical JSON of a pipeline: what a job freezes, and what its hash is taken of.

use sha2::{Digest as _, Sha256};

use super::key_pattern::KeyPattern;
use super::pattern_error::PatternError;
use super::types::Pipeline;

/// Why JSON is no frozen pipeline.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Not the JSON of a pipeline.
    #[error("the frozen pipeline is not valid JSON of a pipeline")]
    Json(#[from] serde_json::Error),
    /// Its `match` does not compile.
    #[error("the frozen pipeline's match is not valid")]
    Pattern(#[from] PatternError),
}

impl Pipeline {
    /// The canonical JSON: the fields in the order of the types, no spaces.
    pub fn to_json(&self) -> String {
        // Writing to memory fails only on maps without text keys, and the types hold no map.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of the canonical JSON in lower-case hex: equal pipelines, however written, are equal.
    pub fn sha256(&self) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(self.to_json()))
    }

    /// Reads canonical JSON, e.g. out of a job.
    ///
    /// # Errors
    /// The text is not the JSON of a pipeline.
    pub fn from_json(json: &str) -> Result<Pipeline, CanonicalError> {
        let pipeline: Pipeline = serde_json::from_str(json)?;
        KeyPattern::compile(&pipeline.source.pattern)?;
        Ok(pipeline)
    }
}
