//! `ListObjectVersions`: every version of every key, a page at a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io;

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Storage;
use super::bucket::Bucket;
use super::commit::io_error;
use super::list::ListRequest;
use super::meta::Meta;
use super::output::{Answer, ok, on_disk};
use super::pages::{encoder, page};
use super::versions::kept_in;
use crate::disk::at;

/// One line of the answer.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Version(Entry),
    Prefix(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    key: String,
    id: String,
    etag: String,
    size: u64,
    /// Milliseconds since 1970.
    modified: u64,
    marker: bool,
    latest: bool,
}

impl Entry {
    fn of(meta: &Meta) -> Self {
        Self {
            key: meta.key.clone(),
            id: meta.version.clone().unwrap_or_else(|| "null".to_owned()),
            etag: meta.etag.clone(),
            size: meta.size,
            modified: meta.last_modified,
            marker: meta.delete_marker,
            latest: false,
        }
    }
}

impl Bucket {
    /// All versions below a prefix: keys in order, of each the newest first.
    fn all_versions(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        let mut keys: BTreeMap<String, Vec<Meta>> = BTreeMap::new();
        let folder = self.private.join("versions");
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            for meta in kept_in(&entry?.path())? {
                if meta.key.starts_with(prefix) {
                    keys.entry(meta.key.clone()).or_default().push(meta);
                }
            }
        }
        let mut request =
            ListRequest { prefix: prefix.to_owned(), max: 1000, ..ListRequest::default() };
        loop {
            let listing = self.list(&request)?;
            for key in listing.contents.into_iter().filter_map(|object| object.key) {
                keys.entry(key).or_default();
            }
            let Some(next) = listing.next else { break };
            request.after = next;
        }
        let mut entries = Vec::new();
        for (key, kept) in keys {
            let current = self.object(&key)?.map(|object| object.meta);
            entries.extend(in_order(current.as_ref(), kept));
        }
        Ok(entries)
    }
}

/// The versions of one key. Without an object the newest is a marker; with one that is it.
fn in_order(current: Option<&Meta>, mut kept: Vec<Meta>) -> Vec<Entry> {
    kept.sort_by_key(|meta| Reverse(meta.sequencer));
    let first = current.map(|meta| Entry { latest: true, ..Entry::of(meta) });
    let is_first = |entry: &Entry| first.as_ref().is_some_and(|first| first.id == entry.id);
    let others = kept.iter().map(Entry::of).filter(|entry| !is_first(entry));
    let mut entries: Vec<Entry> = first.iter().cloned().chain(others).collect();
    if let Some(newest) = entries.first_mut() {
        newest.latest = true;
    }
    entries
}

/// A page of these versions: what comes after the marker, with common prefixes in one line.
fn cut(
    entries: Vec<Entry>,
    prefix: &str,
    delimiter: Option<&str>,
    after: (&str, &str),
    max: usize,
) -> (Vec<Line>, bool) {
    let (key, id) = after;
    // A marker without a version stands for all versions of its key.
    let mut past_marker = false;
    let mut lines: Vec<Line> = Vec::new();
    for entry in entries {
        if entry.key.as_str() < key {
            continue;
        }
        if entry.key == key && !key.is_empty() && !past_marker {
            past_marker = entry.id == id;
            continue;
        }
        let rest = entry.key.strip_prefix(prefix).unwrap_or_default();
        let head = delimiter.filter(|text| !text.is_empty()).and_then(|text| {
            let (head, _) = rest.split_once(text)?;
            Some(format!("{prefix}{head}{text}"))
        });
        let line = match head {
            // The page before ended with this prefix.
            Some(head) if key.starts_with(&head) => continue,
            Some(head) => Line::Prefix(head),
            None => Line::Version(entry),
        };
        if lines.last() == Some(&line) {
            continue;
        }
        if lines.len() == max {
            return (lines, true);
        }
        lines.push(line);
    }
    (lines, false)
}

impl Storage {
    pub(super) async fn version_page(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let key = input.key_marker.clone().unwrap_or_default();
        let id = input.version_id_marker.clone().unwrap_or_default();
        if key.is_empty() && !id.is_empty() {
            return Err(s3_error!(
                InvalidArgument,
                "A version-id marker cannot be specified without a key marker."
            ));
        }
        let max = page(input.max_keys);
        let delimiter = input.delimiter.clone();
        let (lines, more) = on_disk(move || -> S3Result<_> {
            let entries = bucket.all_versions(&prefix).map_err(io_error)?;
            Ok(cut(entries, &prefix, delimiter.as_deref(), (&key, &id), max))
        })
        .await?;
        ok(answer(input, lines, more, max))
    }
}

fn answer(
    input: ListObjectVersionsInput,
    lines: Vec<Line>,
    more: bool,
    max: usize,
) -> ListObjectVersionsOutput {
    let encoded = encoder(input.encoding_type.as_ref());
    let last = lines.last().filter(|_| more);
    let (next_key_marker, next_version_id_marker) = match last {
        Some(Line::Version(entry)) => (Some(encoded(&entry.key)), Some(entry.id.clone())),
        Some(Line::Prefix(prefix)) => (Some(encoded(prefix)), None),
        None => (None, None),
    };
    let (mut versions, mut markers, mut prefixes) = (vec![], vec![], vec![]);
    for line in lines {
        match line {
            Line::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(encoded(&prefix)) }),
            Line::Version(entry) if entry.marker => markers.push(DeleteMarkerEntry {
                key: Some(encoded(&entry.key)),
                version_id: Some(entry.id),
                is_latest: Some(entry.latest),
                last_modified: Some(super::meta::http_time(entry.modified)),
                ..Default::default()
            }),
            Line::Version(entry) => versions.push(ObjectVersion {
                key: Some(encoded(&entry.key)),
                version_id: Some(entry.id),
                is_latest: Some(entry.latest),
                last_modified: Some(super::meta::http_time(entry.modified)),
                e_tag: Some(ETag::Strong(entry.etag)),
                size: i64::try_from(entry.size).ok(),
                storage_class: Some(ObjectVersionStorageClass::from_static(
                    ObjectVersionStorageClass::STANDARD,
                )),
                ..Default::default()
            }),
        }
    }
    ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(input.prefix.unwrap_or_default()),
        delimiter: input.delimiter,
        key_marker: Some(input.key_marker.unwrap_or_default()),
        version_id_marker: input.version_id_marker,
        encoding_type: input.encoding_type,
        max_keys: i32::try_from(max).ok(),
        is_truncated: Some(more),
        next_key_marker,
        next_version_id_marker,
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: Some(prefixes),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, id: &str) -> Entry {
        Entry { key: key.to_owned(), id: id.to_owned(), ..Entry::default() }
    }

    fn all() -> Vec<Entry> {
        [("a", "2"), ("a", "1"), ("d/x", "3"), ("d/y", "5"), ("d/y", "4"), ("e", "6")]
            .map(|(key, id)| entry(key, id))
            .to_vec()
    }

    fn shown(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| match line {
                Line::Version(entry) => format!("{} {}", entry.key, entry.id),
                Line::Prefix(prefix) => prefix.clone(),
            })
            .collect()
    }

    #[test]
    fn pages_follow_each_other_whatever_their_size() {
        for (delimiter, expected) in [
            (None, &["a 2", "a 1", "d/x 3", "d/y 5", "d/y 4", "e 6"][..]),
            (Some("/"), &["a 2", "a 1", "d/", "e 6"][..]),
        ] {
            for max in 1..=expected.len() {
                let (mut seen, mut key, mut id) = (vec![], String::new(), String::new());
                loop {
                    let (lines, more) = cut(all(), "", delimiter, (&key, &id), max);
                    seen.extend(shown(&lines));
                    (key, id) = match lines.last() {
                        Some(Line::Version(entry)) => (entry.key.clone(), entry.id.clone()),
                        Some(Line::Prefix(prefix)) => (prefix.clone(), String::new()),
                        None => break,
                    };
                    if !more {
                        break;
                    }
                }
                assert_eq!(seen, expected, "{delimiter:?} {max}");
            }
        }
    }

    #[test]
    fn a_key_marker_alone_leaves_out_the_whole_key() {
        let (lines, more) = cut(all(), "", None, ("a", ""), 10);
        assert_eq!(shown(&lines), ["d/x 3", "d/y 5", "d/y 4", "e 6"]);
        assert!(!more);
    }

    #[test]
    fn the_object_is_the_latest_and_without_one_the_newest_marker_is() {
        let meta = |id: &str, sequencer, delete_marker| Meta {
            version: Some(id.to_owned()),
            sequencer,
            delete_marker,
            ..Meta::default()
        };
        let kept = || vec![meta("1", 1, false), meta("2", 2, true)];
        let latest = |entries: Vec<Entry>| -> Vec<(String, bool)> {
            entries.into_iter().map(|entry| (entry.id, entry.latest)).collect()
        };
        let marked = latest(in_order(None, kept()));
        assert_eq!(marked, [("2".to_owned(), true), ("1".to_owned(), false)]);
        let current = Meta { version: None, sequencer: 3, ..Meta::default() };
        let shown = latest(in_order(Some(&current), kept()));
        assert_eq!(shown.first(), Some(&("null".to_owned(), true)));
        assert_eq!(shown.len(), 3);
    }
}
