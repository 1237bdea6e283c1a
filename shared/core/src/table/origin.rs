//! Where a file comes from, as it says itself.

use parquet::file::metadata::KeyValue;

/// Name of the entry that holds the pipeline.
pub(super) const PIPELINE_KEY: &str = "rowproof.pipeline";

/// What wrote a file. It stands in the file's key-value metadata, so that a file that was copied away can
/// be traced to its receipt. All of it is fixed before the first row is read: whoever writes the file
/// again writes the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Name of the pipeline.
    pub pipeline: String,
    /// SHA-256 of the pipeline file.
    pub pipeline_sha: String,
    /// The job.
    pub job: String,
    /// The chunk: `3`, or `3.01` for a part.
    pub chunk: String,
    /// 0, then one more for each replay.
    pub fix: u32,
}

impl Origin {
    pub(crate) fn key_values(&self) -> Vec<KeyValue> {
        let entry = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
        vec![
            entry(PIPELINE_KEY, &self.pipeline),
            entry("rowproof.pipeline_sha", &self.pipeline_sha),
            entry("rowproof.job", &self.job),
            entry("rowproof.chunk", &self.chunk),
            entry("rowproof.fix", &self.fix.to_string()),
        ]
    }
}
