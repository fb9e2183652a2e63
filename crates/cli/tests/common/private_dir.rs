use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use penfold_testkit::TempDir;

use super::PENFOLD;

/// A directory that only its owner can write, as modules need it; removed with its content on drop.
#[derive(Debug)]
pub struct PrivateDir(TempDir);

impl PrivateDir {
    pub fn new() -> PrivateDir {
        PrivateDir(TempDir::trusted(env!("CARGO_TARGET_TMPDIR")))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The reason why a module in this directory can't be loaded: the tests may be built where other users can write.
    pub fn refusal(&self, module: &str) -> Option<String> {
        let output = self.shell(&format!("penfold module info {module} | grep '^loadable'"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(told).filter(|told| told.trim_end() != "loadable   yes")
    }

    /// Runs a script in this directory, with penfold in `PATH`.
    pub fn shell(&self, script: &str) -> Output {
        let mut path = OsString::from(Path::new(PENFOLD).parent().expect("it is in a directory"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut shell = Command::new("timeout");
        shell
            .args(["300", "sh", "-ec", script])
            .current_dir(&self.0)
            .env("PATH", path)
            .env("CARGO_NET_OFFLINE", "true");
        shell.env_remove("CARGO_TARGET_DIR").env_remove("PENFOLD_MODULES").output().expect("run sh")
    }
}
