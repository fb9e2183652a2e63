//! The file of a module, read once: check, inspection and load all work on the same bytes.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::description::ModuleDescription;
use super::elf::SharedObject;
use super::error::LoadError;
use super::inspect::describe;
use super::ownership_check;

/// A shared object that is longer than this is not read.
const MAX_LENGTH: u64 = 1 << 30;

/// The content of a module's file at one moment. Changes of the file afterwards change nothing here.
#[derive(Debug)]
pub struct ModuleFile {
    path: PathBuf,
    /// Open, so that no other file can get its inode number.
    file: File,
    device_and_inode: (u64, u64),
    bytes: Vec<u8>,
}

impl ModuleFile {
    /// Reads a file without a check of its owner and permissions.
    ///
    /// # Errors
    /// [`LoadError::System`] for a file that can't be read. [`LoadError::NotAModule`] for a file that is not regular,
    /// or longer than 1 GiB.
    pub fn read(path: &Path) -> Result<ModuleFile, LoadError> {
        let canonical = path.canonicalize().map_err(|error| LoadError::system("open", path, error))?;
        let file = open(&canonical)?;
        ModuleFile::of(canonical, file)
    }

    /// Reads a file that only root and `owner` (a uid) can change or replace.
    ///
    /// The directories are checked before the file is opened, so that no other user can put another file there. The
    /// file is checked once more when it is open, so the check is about the bytes that are read.
    ///
    /// # Errors
    /// As [`ownership_check::check`] and [`ModuleFile::read`].
    pub fn read_trusted(path: &Path, owner: u32) -> Result<ModuleFile, LoadError> {
        let canonical = ownership_check::check(path, owner)?;
        let file = open(&canonical)?;
        ownership_check::check_open_file(&canonical, &file, owner)?;
        ModuleFile::of(canonical, file)
    }

    fn of(path: PathBuf, file: File) -> Result<ModuleFile, LoadError> {
        let failed = |error| LoadError::system("read", &path, error);
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(LoadError::not_a_module(&path, "it is not a regular file"));
        }
        if facts.len() > MAX_LENGTH {
            return Err(LoadError::not_a_module(&path, format!("it is longer than {MAX_LENGTH} bytes")));
        }
        let mut bytes = Vec::with_capacity(facts.len() as usize);
        (&file).take(MAX_LENGTH).read_to_end(&mut bytes).map_err(failed)?;
        Ok(ModuleFile { device_and_inode: (facts.dev(), facts.ino()), path, file, bytes })
    }

    /// The canonical path of the file, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The module's description of itself. No code of the file runs.
    ///
    /// # Errors
    /// [`LoadError::NotAModule`] and [`LoadError::Description`].
    pub fn description(&self) -> Result<ModuleDescription, LoadError> {
        let object = SharedObject::parse(&self.bytes);
        let object = object.map_err(|reason| LoadError::not_a_module(&self.path, reason))?;
        describe(&self.path, &object)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn device_and_inode(&self) -> (u64, u64) {
        self.device_and_inode
    }

    /// The open file without its content. While it is open, [`ModuleFile::device_and_inode`] is no other file's.
    pub(super) fn into_file(self) -> File {
        self.file
    }
}

/// The description of the module in a file. No code of the file runs, so read permission is enough.
///
/// # Errors
/// [`LoadError::System`] for a file that can't be read. [`LoadError::NotAModule`] for a file that is no module for this
/// machine. [`LoadError::Description`] for a description that can't be used.
pub fn inspect(path: &Path) -> Result<ModuleDescription, LoadError> {
    ModuleFile::read(path)?.description()
}

/// Opens a file for reading. Does not wait, as the open of a pipe would.
fn open(canonical: &Path) -> Result<File, LoadError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW);
    options.open(canonical).map_err(|error| LoadError::system("open", canonical, error))
}
