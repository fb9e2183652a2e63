use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Place;

/// A directory with the modules of the tree, which everybody can use and only root can change; gone with it.
///
/// The build directory may be readable by its owner only, and nothing below /tmp is trusted.
#[derive(Debug)]
pub struct Modules(Place);

impl Modules {
    /// Only for root.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let modules = Self(Place::new(&format!("modules-{number}")));
        let test = std::env::current_exe().expect("a test is a program");
        // the modules that the tests depend on, cargo puts beside them
        let built = test.with_file_name("libpenfold_net_cls.so");
        std::fs::copy(built, modules.file("net_cls")).expect("copy a module");
        modules
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where a module is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(format!("libpenfold_{name}.so"))
    }
}
