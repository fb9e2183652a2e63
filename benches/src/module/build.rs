//! The module and the programs that are measured, compiled where they are used.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use penfold_testkit::TempDir;

const MODULE: &str = include_str!("counter.c");
const LATENCY: &str = include_str!("latency.c");
const SLEEPERS: &str = include_str!("sleepers.c");
const STORM: &str = include_str!("../overhead/storm.c");

/// Files that go when this does.
#[derive(Debug)]
pub struct Built {
    directory: TempDir,
}

impl Built {
    /// Compiles all of them.
    ///
    /// # Errors
    /// When the compiler is missing or fails.
    pub fn new() -> io::Result<Built> {
        let built = Built { directory: TempDir::new() };
        let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/module/include");
        let include = format!("-I{}", header.display());
        let shared = ["-shared", "-fPIC", &include];
        built.compile("told.so", MODULE, &[&shared[..], &["-DTOLD"]].concat())?;
        built.compile("idle.so", MODULE, &shared)?;
        for (name, source) in [("latency", LATENCY), ("sleepers", SLEEPERS), ("storm", STORM)] {
            built.compile(name, source, &["-pthread", "-static"])?;
        }
        Ok(built)
    }

    fn compile(&self, name: &str, source: &str, flags: &[&str]) -> io::Result<()> {
        let file = self.path(&format!("{name}.c"));
        std::fs::write(&file, source)?;
        let compiled =
            Command::new("cc").arg("-O2").args(flags).arg("-o").arg(self.path(name)).arg(file).status()?;
        if compiled.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("cc could not compile {name}")))
        }
    }

    /// Where one of them is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The module, with fork and exit callbacks if `told`, without callbacks if not.
    pub fn module(&self, told: bool) -> PathBuf {
        self.path(if told { "told.so" } else { "idle.so" })
    }
}
