//! Which files this program has open as modules: each at most once.
//!
//! The dynamic linker maps a file once, however often it is asked for it. A second load of a file that is loaded would get
//! the variables of the first, and when it ends, as it does at once if the engine has that name already, its `unload`
//! would take away what the first one still uses. Linux had that hole (E2.2: the same structure twice corrupted lists).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::LoadError;

static OPEN: Mutex<Vec<Claim>> = Mutex::new(Vec::new());

/// What the linker knows a file by: either is enough for it to take one for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

/// A file that is this holder's alone, until it is dropped: only after the file is unmapped.
#[derive(Debug)]
pub(super) struct Claimed(Claim);

impl Claimed {
    /// # Errors
    /// [`LoadError::System`] for a file that is not there or can't be reached, [`LoadError::Open`] for one that is taken.
    pub(super) fn new(path: &Path) -> Result<Claimed, LoadError> {
        let system = |error| LoadError::system("open", path, error);
        // absolute, or the linker would look for a name without a '/' along the library path
        let canonical = fs::canonicalize(path).map_err(system)?;
        let meta = fs::metadata(&canonical).map_err(system)?;
        let claim = Claim { path: canonical, device_and_inode: (meta.dev(), meta.ino()) };
        let same =
            |other: &Claim| other.path == claim.path || other.device_and_inode == claim.device_and_inode;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if open.iter().any(same) {
            return Err(LoadError::Open { path: claim.path });
        }
        open.push(claim.clone());
        Ok(Claimed(claim))
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != self.0);
    }
}
