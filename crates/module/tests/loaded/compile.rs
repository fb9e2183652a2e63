//! Compiles modules in C for tests.

use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// A compiled module, or any other file of a test. The drop removes the file.
pub struct Object(PathBuf);

impl Object {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A path that no other test has.
pub fn scratch(ending: &str) -> Object {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Object(std::env::temp_dir().join(format!("penfold-module-{}-{number}{ending}", process::id())))
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../module")
        .canonicalize()
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/module"))
        .join(name)
}

/// Compiles `tests/c/NAME.c` with these macros, such as `("NAME", "\"other\"")`. A value may be empty.
pub fn module(name: &str, macros: &[(&str, &str)]) -> Object {
    let object = scratch(".so");
    let mut compiler = Command::new("cc");
    compiler.args([
        "-std=gnu11",
        "-O1",
        "-Wall",
        "-Wextra",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "-pthread",
    ]);
    compiler.arg("-I").arg(source("include")).arg("-o").arg(object.path());
    for (name, value) in macros {
        compiler.arg(format!("-D{name}={value}"));
    }
    let output =
        compiler.arg(source(&format!("tests/c/{name}.c"))).output().expect("cc, a C compiler, is needed");
    assert!(output.status.success(), "{macros:?}: {}", String::from_utf8_lossy(&output.stderr));
    object
}

/// Compiles a program.
#[allow(dead_code)] // each test program uses its part
pub fn program(text: &str) -> Object {
    let (program, file) = (scratch(""), scratch(".c"));
    std::fs::write(file.path(), text).expect("a temporary file");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-static", "-pthread", "-o"]).arg(program.path());
    let output = compiler.arg(file.path()).output().expect("cc, a C compiler, is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}
