//! The files of the modules.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The file of a module. Cargo builds the modules with all tests of the package, and not with a single one.
pub(crate) fn module(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let directory = BUILT.get_or_init(|| {
        let program = env::current_exe().expect("it runs");
        let profile = program.ancestors().nth(2).expect("the directory of the build");
        let directory = profile.join("examples");
        if !directory.join("libpenfold_pids.so").exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--package", "penfold-controllers", "--examples"]);
            assert!(build.status().expect("run cargo").success());
        }
        directory
    });
    directory.join(format!("libpenfold_{name}.so"))
}
