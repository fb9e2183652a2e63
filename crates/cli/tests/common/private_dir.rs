use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::PENFOLD;

/// A directory that only its owner can write, as modules need it; removed with its content on drop.
#[derive(Debug)]
pub struct PrivateDir(PathBuf);

impl PrivateDir {
    pub fn new(name: &str) -> PrivateDir {
        // other users may be able to write where the tests are built
        let root = nix::unistd::geteuid().is_root();
        let base = Path::new(if root { "/var/lib" } else { env!("CARGO_TARGET_TMPDIR") });
        let path = base.join(format!("penfold-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("make a directory");
        PrivateDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
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

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
