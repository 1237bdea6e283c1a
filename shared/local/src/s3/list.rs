//! Lists a bucket by walking its folder in the order of the keys.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use s3s::dto::{CommonPrefix, Object as Listed};

use super::bucket::Bucket;

/// The greatest character: put after a common prefix it sorts behind all keys below it.
const LAST: char = char::MAX;

#[derive(Debug, Clone, Default)]
pub(crate) struct ListRequest {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Only keys behind this one.
    pub(crate) after: String,
    pub(crate) max: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) contents: Vec<Listed>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<String>,
}

impl Listing {
    pub(crate) fn common_prefixes(&self, encode: impl Fn(&str) -> String) -> Vec<CommonPrefix> {
        let prefixes = self.prefixes.iter();
        prefixes.map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect()
    }

    fn len(&self) -> usize {
        self.contents.len() + self.prefixes.len()
    }
}

impl Bucket {
    pub(crate) fn list(&self, request: &ListRequest) -> io::Result<Listing> {
        let mut walk = Walk {
            bucket: self,
            request,
            odd: self.odd_keys(&request.prefix).into_iter().peekable(),
            skip: None,
            last: String::new(),
            found: Listing::default(),
        };
        if request.max == 0 {
            return Ok(walk.found);
        }
        let mut flow = walk.folder(&self.files, "")?;
        while flow.is_continue() {
            let Some(key) = walk.odd.next() else { break };
            flow = walk.visit(&key)?;
        }
        if flow.is_break() {
            walk.found.next = Some(walk.last);
        }
        Ok(walk.found)
    }
}

struct Walk<'a> {
    bucket: &'a Bucket,
    request: &'a ListRequest,
    odd: std::iter::Peekable<std::vec::IntoIter<String>>,
    /// A common prefix that was found: nothing below it needs to be looked at.
    skip: Option<String>,
    last: String,
    found: Listing,
}

impl Walk<'_> {
    /// Visits a folder whose keys all begin with `base`. Breaks when the page is full.
    fn folder(&mut self, path: &Path, base: &str) -> io::Result<ControlFlow<()>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ControlFlow::Continue(()));
            }
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8 cannot be a key.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // A link counts as what it points to.
            let is_folder = match entry.file_type()? {
                kind if kind.is_symlink() => entry.path().is_dir(),
                kind => kind.is_dir(),
            };
            let end = if is_folder { "/" } else { "" };
            names.push(format!("{base}{name}{end}"));
        }
        names.sort_unstable();
        for name in names {
            let flow = match name.ends_with('/') {
                true if self.may_hold(&name) => {
                    self.folder(&self.bucket.files.join(&name), &name)?
                }
                true => ControlFlow::Continue(()),
                false => self.file(&name)?,
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether a folder can hold a key that is wanted.
    fn may_hold(&self, folder: &str) -> bool {
        let prefix = self.request.prefix.as_str();
        let below = folder.starts_with(prefix) || prefix.starts_with(folder);
        let after = self.request.after.as_str();
        let behind = folder > after || after.starts_with(folder);
        let skipped = self.skip.as_ref().is_some_and(|skip| folder.starts_with(skip));
        below && behind && !skipped
    }

    /// Visits a key that is a file, after the odd keys that come before it.
    fn file(&mut self, key: &str) -> io::Result<ControlFlow<()>> {
        while let Some(odd) = self.odd.next_if(|odd| odd.as_str() < key) {
            if self.visit(&odd)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        // A key that is stored under `odd` since may have been a file before.
        if self.odd.next_if(|odd| odd == key).is_some() || !self.bucket.is_odd(key) {
            return self.visit(key);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn visit(&mut self, key: &str) -> io::Result<ControlFlow<()>> {
        let request = self.request;
        if !key.starts_with(&request.prefix)
            || key <= request.after.as_str()
            || self.skip.as_ref().is_some_and(|skip| key.starts_with(skip))
        {
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(prefix) = self.common_prefix(key) {
            if format!("{prefix}{LAST}") <= request.after {
                self.skip = Some(prefix);
                return Ok(ControlFlow::Continue(()));
            }
            if self.found.len() == request.max {
                return Ok(ControlFlow::Break(()));
            }
            self.last = format!("{prefix}{LAST}");
            self.found.prefixes.push(prefix.clone());
            self.skip = Some(prefix);
            return Ok(ControlFlow::Continue(()));
        }
        // Deleted since the folder was read: not there.
        let Some(object) = self.bucket.object(key)? else {
            return Ok(ControlFlow::Continue(()));
        };
        if self.found.len() == request.max {
            return Ok(ControlFlow::Break(()));
        }
        self.last = key.to_owned();
        self.found.contents.push(Listed {
            key: Some(key.to_owned()),
            size: i64::try_from(object.meta.size).ok(),
            e_tag: Some(object.meta.e_tag()),
            last_modified: Some(object.meta.modified()),
            checksum_type: object.meta.sums.kind(),
            ..Listed::default()
        });
        Ok(ControlFlow::Continue(()))
    }

    fn common_prefix(&self, key: &str) -> Option<String> {
        let delimiter = self.request.delimiter.as_deref().filter(|text| !text.is_empty())?;
        let rest = key.strip_prefix(&self.request.prefix)?;
        let (head, _) = rest.split_once(delimiter)?;
        Some(format!("{}{head}{delimiter}", self.request.prefix))
    }
}
