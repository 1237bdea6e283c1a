//! Entity tags.
//!
//! Clients take a tag of 32 hex digits for the MD5 of what they sent and check it: rclone deletes an
//! object whose tag is another one, s3cmd sends it again. So what they send gets the MD5, and an upload
//! in parts the MD5 of its parts' MD5s with their number behind it, as S3 has it. Rowproof's own
//! requests do not look at it, and MD5 costs more than all else an upload does here, so their tag is a
//! quicker digest under a name that nobody takes for an MD5.

use std::fs::File;
use std::io::{self, Read, Seek};

use data_encoding::HEXLOWER;
use s3s::crypto::{Checksum as _, Md5};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// What a tag begins with that is no MD5.
const QUICK: &str = "xxh3-";
/// Bytes read from a file at once.
const READ_BYTES: usize = 1 << 20;

/// How a tag is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Md5,
    Quick,
}

impl Kind {
    /// The kind of this tag.
    pub(crate) fn of(tag: &str) -> Self {
        if tag.starts_with(QUICK) { Self::Quick } else { Self::Md5 }
    }
}

/// A tag being computed.
pub(crate) enum Digest {
    Md5(Md5),
    Quick(Box<Xxh3>),
}

impl Digest {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Md5 => Self::Md5(Md5::new()),
            Kind::Quick => Self::Quick(Box::default()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(md5) => md5.update(bytes),
            Self::Quick(xxh3) => xxh3.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> String {
        match self {
            Self::Md5(md5) => HEXLOWER.encode(&md5.finalize()),
            Self::Quick(xxh3) => format!("{QUICK}{:032x}", xxh3.digest128()),
        }
    }
}

/// The tag of an object whose parts have these. It is an MD5 only if all of theirs are.
pub(crate) fn joined<'a>(tags: impl ExactSizeIterator<Item = &'a str> + Clone) -> String {
    let count = tags.len();
    let mut md5 = Md5::new();
    let all_md5 = tags.clone().all(|tag| match HEXLOWER.decode(tag.as_bytes()) {
        Ok(sum) => {
            md5.update(&sum);
            true
        }
        Err(_) => false,
    });
    if all_md5 {
        return format!("{}-{count}", HEXLOWER.encode(&md5.finalize()));
    }
    let text: String = tags.collect();
    format!("{QUICK}{:032x}-{count}", xxh3_128(text.as_bytes()))
}

/// The tag of what a file holds, as an upload of this kind in parts of these sizes would have got it;
/// without sizes, as an upload in one piece.
pub(crate) fn of_file(mut file: &File, kind: Kind, part_sizes: &[u64]) -> io::Result<String> {
    file.rewind()?;
    if part_sizes.is_empty() {
        return of_reader(file, kind);
    }
    let mut tags = Vec::with_capacity(part_sizes.len());
    for size in part_sizes {
        tags.push(of_reader(file.take(*size), kind)?);
    }
    Ok(joined(tags.iter().map(String::as_str)))
}

fn of_reader(mut reader: impl Read, kind: Kind) -> io::Result<String> {
    let mut digest = Digest::new(kind);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(digest.finish());
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn tag(kind: Kind, text: &str) -> String {
        of_reader(text.as_bytes(), kind).unwrap()
    }

    #[test]
    fn a_client_gets_the_md5_of_what_it_sent() {
        assert_eq!(tag(Kind::Md5, ""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(tag(Kind::Md5, "abc"), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn parts_get_the_md5_of_their_md5s_and_their_number() {
        let tags = [tag(Kind::Md5, "abc"), tag(Kind::Md5, "")];
        // printf 900150983cd24fb0d6963f7d28e17f72d41d8cd98f00b204e9800998ecf8427e | xxd -r -p | md5sum
        assert_eq!(joined(tags.iter().map(String::as_str)), EXPECTED);
    }

    const EXPECTED: &str = "fdf1fdf1567f6942ffe1743f1e72301e-2";

    #[test]
    fn no_part_of_a_quick_tag_looks_like_an_md5() {
        let quick = tag(Kind::Quick, "abc");
        assert!(quick.starts_with("xxh3-") && Kind::of(&quick) == Kind::Quick, "{quick}");
        let mixed = [quick, tag(Kind::Md5, "abc")];
        let joined = joined(mixed.iter().map(String::as_str));
        assert!(joined.starts_with("xxh3-") && joined.ends_with("-2"), "{joined}");
    }

    #[test]
    fn a_file_is_told_by_the_tag_of_its_upload() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        for kind in [Kind::Md5, Kind::Quick] {
            assert_eq!(of_file(&file, kind, &[]).unwrap(), tag(kind, "abcdef"));
            let parts = [tag(kind, "abcd"), tag(kind, "ef")];
            let whole = joined(parts.iter().map(String::as_str));
            assert_eq!(of_file(&file, kind, &[4, 2]).unwrap(), whole);
        }
    }
}
