//! The disk: every change goes through here, one step at a time, so that a test can end the process
//! between any two of them, and so that an error names the path that it happened to.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::path::Path;

use crate::faults::PowerCut;

/// Changes files. Clones share the cut.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Option<PowerCut>);

/// The same error, with the path in its text.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// What to do about an error of the disk; empty when nothing more is known than its text says.
pub(crate) fn advice(kind: io::ErrorKind) -> &'static str {
    let known = [
        (io::ErrorKind::StorageFull, FULL),
        (io::ErrorKind::QuotaExceeded, FULL),
        (io::ErrorKind::ReadOnlyFilesystem, READ_ONLY),
        (io::ErrorKind::PermissionDenied, FORBIDDEN),
    ];
    known.into_iter().find(|(known, _)| *known == kind).map_or("", |(_, advice)| advice)
}

const FULL: &str =
    "; make room on that disk and run the same command again: what is stored stays good";
const READ_ONLY: &str = "; even to look at a folder its .rowproof has to be written: mount it for \
                         writing, or copy the folder elsewhere and name the copy";
const FORBIDDEN: &str = "; give this user the right to write there, or name another folder";

impl Disk {
    pub(crate) fn new(cut: Option<PowerCut>) -> Self {
        Self(cut)
    }

    fn step(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), PowerCut::step)
    }

    pub(crate) fn make_folders(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::create_dir_all(path).map_err(at(path))
    }

    /// A new, empty file to write to.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        File::create_new(path).map_err(at(path))
    }

    /// Appends all of these; `path` is only for the error.
    pub(crate) fn append(
        &self,
        file: &mut File,
        mut slices: &mut [IoSlice<'_>],
        path: &Path,
    ) -> io::Result<()> {
        self.step()?;
        // An empty slice would look like a disk that takes nothing.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match file.write_vectored(slices) {
                Ok(0) => return Err(at(path)(io::ErrorKind::WriteZero.into())),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at(path)(error)),
            }
        }
        Ok(())
    }

    /// Makes a file of these bytes. Readers and crashes may meet a part of it: use
    /// [`Disk::replace`] for what has a reader.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(path)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.append(&mut file, &mut [IoSlice::new(first)], path)?;
        self.append(&mut file, &mut [IoSlice::new(second)], path)
    }

    /// Puts a file of these bytes in the place of whatever is there, as a whole; `scratch` is a free
    /// name on the same file system.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8], scratch: &Path) -> io::Result<()> {
        self.write(scratch, bytes)?;
        self.rename_making_parents(scratch, path)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to).map_err(at(to))
    }

    /// Renames, making the parent folders if they are missing.
    pub(crate) fn rename_making_parents(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Another request may delete the folders, empty as they are, between the two calls.
        for _ in 0..8 {
            match self.rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                    self.make_folders(to.parent().unwrap_or(to))?;
                }
                done => return done,
            }
        }
        self.rename(from, to)
    }

    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::hard_link(from, to).map_err(at(to))
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_file(path).map_err(at(path))
    }

    pub(crate) fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn remove_empty_folder(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_dir(path).map_err(at(path))
    }

    /// Removes a folder and all in it, in steps: see [`Disk::retire`] for one that has readers.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(at(path))?,
        };
        for entry in entries {
            let entry = entry.map_err(at(path))?;
            match entry.file_type().map_err(at(path))?.is_dir() {
                true => self.remove_folder(&entry.path())?,
                false => self.remove_if_there(&entry.path())?,
            }
        }
        self.remove_empty_folder(path)
    }

    /// Removes a folder and all in it; a reader or a crash finds all of it or none. `scratch` is a
    /// free name below a folder that is swept at the start.
    pub(crate) fn retire(&self, path: &Path, scratch: &Path) -> io::Result<()> {
        self.rename(path, scratch)?;
        self.remove_folder(scratch)
    }
}

pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_path_and_keeps_its_kind() {
        let error = Disk::default().remove(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn after_a_cut_nothing_changes_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (path, scratch) = (dir.path().join("a"), dir.path().join("b"));
        for steps in 0..4 {
            let disk = Disk::new(Some(PowerCut::after(steps)));
            assert!(disk.replace(&path, b"whole", &scratch).is_err(), "{steps}");
            assert!(!path.exists() && disk.remove(&scratch).is_err(), "{steps}");
            Disk::default().remove_if_there(&scratch).unwrap();
        }
        let disk = Disk::new(Some(PowerCut::after(4)));
        disk.replace(&path, b"whole", &scratch).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(disk.remove(&path).is_err());
    }
}
