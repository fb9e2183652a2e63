//! Programs in C, compiled for one test.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::temp_dir::TempDir;

/// A compiled program; its files are removed when it is dropped.
#[derive(Debug)]
pub struct CProgram {
    path: String,
    _directory: TempDir,
}

/// The text before every source: the usual headers, and `CHECK(condition)`, which exits with 99 when it does not hold.
const HEADER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define CHECK(x) do { if (!(x)) { \
    fprintf(stderr, "%s does not hold, errno %d\n", #x, errno); exit(99); } } while (0)
"#;

impl CProgram {
    /// Compiles a source with the usual headers before it, `CHECK(condition)` and threads.
    #[track_caller]
    pub fn compile(source: &str) -> CProgram {
        CProgram::try_compile(source, &[]).unwrap_or_else(|message| panic!("{message}"))
    }

    /// Compiles to a program that loads no library, so that it starts fast.
    #[track_caller]
    pub fn compile_static(source: &str) -> CProgram {
        CProgram::try_compile(source, &["-static"]).unwrap_or_else(|message| panic!("{message}"))
    }

    /// Compiles with more flags.
    ///
    /// # Errors
    /// The compiler's messages.
    #[track_caller]
    pub fn try_compile(source: &str, flags: &[&str]) -> Result<CProgram, String> {
        let directory = TempDir::new();
        // the name shows in ps(1) whose the program is
        let (file, path) = (directory.join("program.c"), directory.join("penfold-test"));
        fs::write(&file, HEADER.to_owned() + source).expect("write the program");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-pthread"]).args(flags).arg("-o").args([&path, &file]);
        let output = compiler.output().expect("run cc, a C compiler");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let path = path.to_str().expect("a temporary path is UTF-8").to_owned();
        Ok(CProgram { path, _directory: directory })
    }

    /// The path of the program.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl AsRef<OsStr> for CProgram {
    fn as_ref(&self) -> &OsStr {
        self.path.as_ref()
    }
}

/// Copies a program to where every user can execute it: the build directory may be readable by its owner only.
///
/// cp(1) writes the copy. If this process wrote it, a child of another thread could inherit the descriptor, and executing
/// the copy would fail with `ETXTBSY`.
#[track_caller]
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("run cp").success(), "{} can't be copied", from.display());
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("the copy is ours");
}
