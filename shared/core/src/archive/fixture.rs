//! Archived rows for tests.

use super::ArchivedRow;

/// Row 17 of job `b2kx` of pipeline `orders`.
pub(crate) fn archived(code: &str, column: Option<&str>, raw: &str) -> ArchivedRow {
    ArchivedRow {
        source_id: "row 17".to_owned(),
        error: "not good".to_owned(),
        raw_data: Some(raw.to_owned()),
        timestamp: "2026-11-23T12:00:00Z".to_owned(),
        error_code: code.to_owned(),
        column: column.map(str::to_owned),
        value: None,
        rule: None,
        stage: "check".to_owned(),
        row_number: 17,
        byte_start: 100,
        byte_end: 100 + i64::try_from(raw.len()).unwrap(),
        job: "b2kx".to_owned(),
        chunk: "3".to_owned(),
        fix: 0,
        pipeline: "orders".to_owned(),
        pipeline_sha: "abc".to_owned(),
        source_bucket: "input".to_owned(),
        source_key: "incoming/a.csv".to_owned(),
        source_version: "v1".to_owned(),
    }
}
