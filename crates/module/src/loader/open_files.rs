//! The files that this program has loaded as modules: each at most once.
//!
//! A second load of a file would bring the same controller once more. Its `load` and `unload` would run although the
//! engine has the name already. Linux had a hole of this kind (E2.2: the same structure twice corrupted lists).

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::error::LoadError;
use super::module_file::ModuleFile;

static OPEN: Mutex<Vec<ModuleFileId>> = Mutex::new(Vec::new());

/// Either part is enough for two files to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModuleFileId {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

/// A file that is loaded once, and not again until this is dropped.
#[derive(Debug)]
pub(super) struct OpenModuleFile {
    identity: ModuleFileId,
    /// Keeps the number on its device from another file, if this one is deleted while it is loaded.
    held: Option<File>,
}

impl OpenModuleFile {
    /// # Errors
    /// [`LoadError::Open`] for a file that is loaded, perhaps by another path.
    pub(super) fn new(file: &ModuleFile) -> Result<OpenModuleFile, LoadError> {
        let identity =
            ModuleFileId { path: file.path().to_owned(), device_and_inode: file.device_and_inode() };
        let same = |other: &ModuleFileId| {
            other.path == identity.path || other.device_and_inode == identity.device_and_inode
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if open.iter().any(same) {
            return Err(LoadError::Open { path: identity.path });
        }
        open.push(identity.clone());
        Ok(OpenModuleFile { identity, held: None })
    }

    /// Keeps the file open, and lets its content go.
    pub(super) fn hold(&mut self, file: ModuleFile) {
        self.held = Some(file.into_file());
    }
}

impl Drop for OpenModuleFile {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != self.identity);
    }
}
