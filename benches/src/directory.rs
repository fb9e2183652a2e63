//! A temporary directory of a benchmark's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory in the system's temporary one; removed with all its content when this is dropped.
#[derive(Debug)]
pub struct BenchDirectory(PathBuf);

impl BenchDirectory {
    /// Makes it, under a name that must be free.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn make(name: &str) -> io::Result<BenchDirectory> {
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(BenchDirectory(path))
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BenchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
