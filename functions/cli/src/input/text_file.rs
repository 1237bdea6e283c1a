//! Text of a local file: unpacked on the way, block by block, as the functions read an object.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rowproof_core::block::Limits;
use rowproof_core::decode::{self, Header, HeaderError, HeaderRead};
use rowproof_core::input::{self, Codec, Inflate, InputError, SNIFF_BYTES};
use rowproof_core::pipeline::Source;

use crate::exit::Usage;

/// Bytes taken from the disk at once.
const READ_BYTES: usize = 1 << 20;
/// Text that most headers fit into.
const HEADER_BYTES: usize = 64 << 10;

/// Why a file's text cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextError {
    /// The disk.
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Not what it should be.
    #[error(transparent)]
    Input(#[from] InputError),
    /// No usable header.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl TextError {
    /// The code that a job would fail with, and `None` for a failure of this machine.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self {
            TextError::Io { .. } => None,
            TextError::Input(error) => Some(error.code()),
            TextError::Header(_) => Some("bad_header"),
        }
    }
}

/// A file that is there and is a file; its size in bytes.
pub(crate) fn check_file(path: &Path) -> Result<u64, Usage> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Usage(format!("{}: {error}; give a CSV or JSON Lines file", path.display()))
    })?;
    match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(Usage(format!("{} is not a file; name a file in it", path.display()))),
    }
}

/// The text of a file from its start on.
pub(crate) struct TextFile {
    path: PathBuf,
    file: File,
    /// Bytes taken from the disk so far.
    bytes: u64,
    /// Absent when the bytes are the text.
    inflate: Option<Inflate>,
    /// Bytes from the disk, those before `used` taken.
    piece: Vec<u8>,
    used: usize,
    pending: bool,
    ended: bool,
}

impl TextFile {
    /// Opens a file whose text is in `encoding`, a WHATWG label.
    pub(crate) fn open(path: &Path, encoding: &str, limits: &Limits) -> Result<Self, TextError> {
        let io = |source| TextError::Io { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        let mut first = Vec::new();
        let sniffed = u64::try_from(SNIFF_BYTES).unwrap_or(u64::MAX);
        (&mut file).take(sniffed).read_to_end(&mut first).map_err(io)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let codec = input::sniff(&first, &name)?;
        let is_text = codec == Codec::None && encoding == "utf-8";
        let inflate = match is_text {
            true => None,
            false => Some(Inflate::new(codec, encoding, limits)?),
        };
        Ok(TextFile {
            path: path.to_owned(),
            file,
            bytes: u64::try_from(first.len()).unwrap_or(u64::MAX),
            inflate,
            piece: first,
            used: 0,
            pending: false,
            ended: false,
        })
    }

    /// Bytes taken from the disk so far: the file's, once its text has ended.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends text to `block` until it holds `want` bytes; `true` when the text has ended.
    pub(crate) fn fill(&mut self, block: &mut Vec<u8>, want: usize) -> Result<bool, TextError> {
        while block.len() < want {
            if self.used >= self.piece.len() && !self.pending && !self.next_piece()? {
                if let Some(inflate) = self.inflate.as_mut().filter(|_| !self.ended) {
                    self.ended = true;
                    inflate.finish(block)?;
                }
                return Ok(true);
            }
            let mut left = self.piece.get(self.used..).unwrap_or(&[]);
            match &mut self.inflate {
                None => {
                    let taken = left.get(..left.len().min(want - block.len())).unwrap_or(left);
                    block.extend_from_slice(taken);
                    self.used += taken.len();
                }
                Some(inflate) => {
                    self.pending = inflate.push(&mut left, block)?;
                    self.used = self.piece.len() - left.len();
                }
            }
        }
        Ok(false)
    }

    fn next_piece(&mut self) -> Result<bool, TextError> {
        self.piece.resize(READ_BYTES, 0);
        let read = self.file.read(&mut self.piece);
        let read = read.map_err(|source| TextError::Io { path: self.path.clone(), source })?;
        self.piece.truncate(read);
        self.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        self.used = 0;
        Ok(read > 0)
    }

    /// Reads what comes before the first record into `block`, which holds the text so far.
    pub(crate) fn header(
        &mut self,
        source: &Source,
        block: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<Header, TextError> {
        let mut want = HEADER_BYTES;
        loop {
            let ended = self.fill(block, want)?;
            match decode::header(source, block, ended, limits)? {
                HeaderRead::Read(header) => return Ok(header),
                HeaderRead::NeedMore => want = block.len().saturating_mul(2).max(want),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn text(bytes: &[u8], encoding: &str, want: usize) -> Result<Vec<u8>, TextError> {
        let file = written(bytes);
        let mut source = TextFile::open(file.path(), encoding, &Limits::default())?;
        let mut block = Vec::new();
        let mut want_now = want;
        while !source.fill(&mut block, want_now)? {
            want_now += want;
        }
        Ok(block)
    }

    #[test]
    fn plain_bytes_come_back_as_they_are_at_every_block_size() {
        let bytes = b"\xEF\xBB\xBFid,name\r\n1,\xC3\xA9\r\n".repeat(9);
        for want in [1, 7, 64, 65, 10_000] {
            assert_eq!(text(&bytes, "utf-8", want).unwrap(), bytes, "{want}");
        }
    }

    #[test]
    fn other_encodings_become_utf_8() {
        assert_eq!(text(b"caf\xE9", "windows-1252", 100).unwrap(), "café".as_bytes());
    }

    #[test]
    fn a_cut_off_gzip_file_is_told_by_its_code() {
        let error = text(b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "utf-8", 100).unwrap_err();
        assert_eq!(error.code(), Some("truncated"));
    }

    #[test]
    fn a_folder_and_a_missing_file_say_what_to_give() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_file(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is not a file"), "{error}");
        let error = check_file(&folder.path().join("none.csv")).unwrap_err();
        assert!(error.to_string().contains("give a CSV or JSON Lines file"), "{error}");
    }
}
