//! Who works in a folder: one process at a time, which says where it can be reached.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rowproof_local::LocalError;
use serde::{Deserialize, Serialize};

use crate::exit::Usage;

/// Looks at a lock whose holder has not said yet who it is, and the pause between two.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What the lock file says about its holder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) endpoint: String,
}

pub(crate) fn prepare(dir: &Path) -> anyhow::Result<PathBuf> {
    let state = dir.join(".rowproof");
    fs::create_dir_all(&state)
        .map_err(|error| Usage(format!("{}: {error}; give another --out", dir.display())))?;
    dir.canonicalize().with_context(|| format!("{}", dir.display()))
}

/// The folder's lock, or who has it.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<Result<File, Holder>> {
    let path = dir.join(".rowproof/lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| LocalError::Disk { path: path.clone(), error })?;
    match file.try_lock() {
        Ok(()) => {
            // It still names the holder before: who comes now must not be told of that one.
            file.set_len(0).map_err(|error| LocalError::Disk { path, error })?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => Ok(Err(holder(&mut file)?)),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Who the lock names twice in a row: what is read right after it was taken may be of the holder before.
fn holder(lock: &mut File) -> anyhow::Result<Holder> {
    let mut before = String::new();
    for _ in 0..LOCK_TRIES {
        let mut text = String::new();
        lock.seek(SeekFrom::Start(0))?;
        lock.read_to_string(&mut text)?;
        if text == before
            && let Ok(holder) = serde_json::from_str(&text)
        {
            return Ok(holder);
        }
        before = text;
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(Holder { pid: 0, endpoint: String::new() })
}

/// Whether a server listens there.
pub(crate) async fn answers(endpoint: &str) -> bool {
    let address = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// Says in the folder's lock who holds it.
pub(crate) fn write_holder(lock: &mut File, dir: &Path, endpoint: &str) -> anyhow::Result<()> {
    let holder = Holder { pid: std::process::id(), endpoint: endpoint.to_owned() };
    let text = serde_json::to_string(&holder)?;
    let mut write = || {
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(text.as_bytes())
    };
    write().map_err(|error| LocalError::Disk { path: dir.join(".rowproof/lock"), error }.into())
}
