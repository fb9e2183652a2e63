use std::path::{Path, PathBuf};

use penfold_testkit::TempDir;

/// A directory with modules of the source tree, which every user can load and only root can change; removed on drop.
///
/// The build directory may be readable by its owner only, and nothing below /tmp is trusted.
#[derive(Debug)]
pub struct ModuleDir(TempDir);

impl ModuleDir {
    /// Only for root.
    pub fn new() -> Self {
        let modules = Self(TempDir::trusted(env!("CARGO_TARGET_TMPDIR")));
        let test = std::env::current_exe().expect("a test is a program");
        // cargo puts the modules that the tests depend on beside the tests
        let built = test.with_file_name("libpenfold_net_cls.so");
        std::fs::copy(built, modules.file("net_cls")).expect("copy a module");
        modules
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a module's file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(format!("libpenfold_{name}.so"))
    }
}
