use std::ffi::OsStr;
use std::process::Command;

use super::ScratchDir;

/// A compiled C program; its files are removed on drop.
#[derive(Debug)]
pub struct CompiledProgram {
    path: String,
    _scratch: ScratchDir,
}

impl CompiledProgram {
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl AsRef<OsStr> for CompiledProgram {
    fn as_ref(&self) -> &OsStr {
        self.path.as_ref()
    }
}

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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define CHECK(x) do { if (!(x)) { \
    fprintf(stderr, "%s does not hold, errno %d\n", #x, errno); exit(99); } } while (0)
"#;

/// `raw_clone(flags)`: the system call itself, on the caller's stack.
pub const CLONE: &str = r#"
    static long raw_clone(unsigned long flags) {
        long result;
        register long r10 __asm__("r10") = 0; register long r8 __asm__("r8") = 0;
        __asm__ volatile("syscall" : "=a"(result) : "0"(56L), "D"(flags), "S"(0L), "d"(0L), "r"(r10), "r"(r8)
            : "rcx", "r11", "memory");
        return result;
    }
"#;

/// Compiles a C program with all usual headers and `CHECK(condition)`.
pub fn compile(source: &str) -> CompiledProgram {
    compile_with(source, &[]).expect("cc compiles it")
}

/// Compiles a C program with more flags. The error is the compiler's message.
pub fn compile_with(source: &str, flags: &[&str]) -> Result<CompiledProgram, String> {
    let scratch = ScratchDir::new();
    let (file, path) = (scratch.path().join("program.c"), scratch.path().join("program"));
    std::fs::write(&file, HEADER.to_owned() + source).expect("write the program");
    let mut command = Command::new("cc");
    command.args(["-O1", "-pthread"]).args(flags).arg("-o").args([&path, &file]);
    let compiler = command.output().expect("run cc");
    let path = path.to_str().expect("a temporary path is UTF-8").to_owned();
    if compiler.status.success() {
        Ok(CompiledProgram { path, _scratch: scratch })
    } else {
        Err(String::from_utf8_lossy(&compiler.stderr).into_owned())
    }
}
