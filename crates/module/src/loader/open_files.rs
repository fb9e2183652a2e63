//! The files that this program has loaded as modules. Each file is loaded at most once at a time.
//!
//! A second load of a file would bring the same controller once more. Its `load` and `unload` would run although the
//! engine has the name already. Linux had a hole of this kind (E2.2: the same structure twice corrupted lists).

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::error::LoadError;
use super::module_file::ModuleFile;

static OPEN: Mutex<Vec<ModuleFileId>> = Mutex::new(Vec::new());

/// The identity of a file. Two files are the same if either part is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModuleFileId {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

/// A claim on a file: nothing else loads the file until this is dropped.
#[derive(Debug)]
pub(super) struct OpenModuleFile {
    identity: ModuleFileId,
    /// Open, so that no other file gets the inode number if this file is deleted while it is loaded.
    held: Option<File>,
}

impl OpenModuleFile {
    /// # Errors
    /// [`LoadError::Open`] for a file that is loaded already, perhaps by another path.
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

    /// Keeps the file open and frees its content.
    pub(super) fn hold(&mut self, file: ModuleFile) {
        self.held = Some(file.into_file());
    }
}

impl Drop for OpenModuleFile {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != self.identity);
    }
}
