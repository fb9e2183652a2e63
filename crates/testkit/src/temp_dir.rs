//! Directories and files of one test, removed when they are dropped.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::skip::is_root;

/// A directory of one test's own, removed with everything in it when it is dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes a directory below the system's directory for temporary files. Every user can read it, its owner can write.
    pub fn new() -> TempDir {
        TempDir::below(&std::env::temp_dir())
    }

    /// Makes a directory that every user can also write.
    pub fn open_to_all() -> TempDir {
        let directory = TempDir::new();
        set_mode(&directory.0, 0o777);
        directory
    }

    /// Makes a directory for files that the loader trusts: as root below `/var/lib`, else below `CARGO_TARGET_TMPDIR`,
    /// which an integration test passes.
    ///
    /// The loader refuses files below a directory that others can write, such as `/tmp`. For root the build directory does
    /// not do either: it may belong to another user and be readable by that user only.
    pub fn trusted(target_tmpdir: &str) -> TempDir {
        TempDir::below(Path::new(if is_root() { "/var/lib" } else { target_tmpdir }))
    }

    /// Makes a directory below another.
    pub fn below(base: &Path) -> TempDir {
        let path = base.join(unique_name());
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        set_mode(&path, 0o755);
        TempDir(path)
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a name in the directory, whether or not it exists.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Default for TempDir {
    fn default() -> TempDir {
        TempDir::new()
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // a failed test may have left a mount in it
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file name of one test's own, outside of any [`TempDir`]; what bears it is removed when this is dropped.
#[derive(Debug)]
pub struct TempFile(PathBuf);

impl TempFile {
    /// Makes an empty file.
    pub fn new() -> TempFile {
        let file = TempFile::unmade("");
        fs::write(&file.0, "").unwrap_or_else(|error| panic!("{}: {error}", file.0.display()));
        file
    }

    /// Only chooses the name, which ends in `ending`.
    pub fn unmade(ending: &str) -> TempFile {
        TempFile(std::env::temp_dir().join(unique_name() + ending))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The content, which is text.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_else(|error| panic!("{}: {error}", self.0.display()))
    }
}

impl Deref for TempFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for TempFile {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Default for TempFile {
    fn default() -> TempFile {
        TempFile::new()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A name that no other test has, of this program or of one that runs beside it.
/// A name that no process has used: a killed test leaves its files behind, and process numbers come again.
fn unique_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("penfold-test-{}-{}-{number}", std::process::id(), time.as_nanos())
}

fn set_mode(path: &Path, mode: u32) {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_removed_with_its_content() {
        let directory = TempDir::new();
        let path = directory.path().to_owned();
        fs::write(directory.join("file"), "text").unwrap();
        fs::create_dir(directory.join("below")).unwrap();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn two_directories_have_different_names() {
        assert_ne!(TempDir::new().path(), TempDir::new().path());
    }

    #[test]
    fn file_is_empty_and_removed() {
        let file = TempFile::new();
        assert_eq!(file.text(), "");
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists());
    }
}
