//! `penfold shim`: runs a program with the preload library, which shows penfold's mounts with the type `cgroup`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use penfold_core::ErrorKind;

use crate::failure::{Failure, Outcome, invalid};
use crate::verbs::exec::not_executed;

/// The preload library.
const LIBRARY: &str = "libpenfold_preload.so";

/// Runs COMMAND so that it takes penfold's mounts for cgroup mounts of the kernel's.
///
/// A file system of penfold has the type fuse.cgroup.CONTROLLERS. Programs that take a path don't mind. libcgroup's
/// tools, the JVM and others look for the type cgroup in /proc/mounts or call statfs(2). COMMAND is started with a
/// preload library (LD_PRELOAD=libpenfold_preload.so) that shows them this type, as are all programs that COMMAND
/// starts.
///
/// The library works in dynamically linked programs of this system's C library. It can't reach statically linked
/// programs, programs in Go, set-user-ID programs, and programs that make system calls themselves.
///
/// The library is at the path in the environment variable PENFOLD_PRELOAD, beside this program, or in ../lib or
/// ../lib/penfold from there. The exit status is the command's own. The status is 125 if penfold failed, 126 if the
/// command can't be executed, and 127 if the command is not found.
#[derive(Debug, clap::Args)]
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
pub(crate) struct ShimArguments {
    /// Hides the kernel's own cgroup mounts, so that only penfold's are found (PENFOLD_SHIM_ONLY=1).
    #[arg(long)]
    only: bool,

    /// The mount point of penfold's proc view: /proc/cgroups, /proc/PID/cgroup and /proc/PID/cpuset are then read from
    /// there (PENFOLD_PROC=DIRECTORY).
    #[arg(long, value_name = "DIRECTORY")]
    proc: Option<PathBuf>,

    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn shim(arguments: &ShimArguments) -> Outcome {
    let error = prepare(arguments)?.exec();
    Err(not_executed(&arguments.command[0], &error))
}

fn prepare(arguments: &ShimArguments) -> Result<Command, Failure> {
    let library = library()?;
    if let Some(reason) = find(&arguments.command[0]).and_then(|program| not_preloadable(&program)) {
        eprintln!(
            "penfold: warning: {} {reason}: the preload library does not reach it",
            arguments.command[0].display()
        );
    }
    let mut command = Command::new(&arguments.command[0]);
    command.args(&arguments.command[1..]).env("LD_PRELOAD", preloaded(library));
    if arguments.only {
        command.env("PENFOLD_SHIM_ONLY", "1");
    }
    if let Some(directory) = &arguments.proc {
        let subject = format!("--proc {}", directory.display());
        let directory = directory.canonicalize().map_err(|error| Failure::io(&subject, error))?;
        if !directory.join("cgroups").is_file() {
            let detail = "not a proc view of penfold's: no file cgroups in it";
            return Err(invalid(Errno::EINVAL, subject, detail));
        }
        command.env("PENFOLD_PROC", directory);
    }
    Ok(command)
}

/// The value of `LD_PRELOAD`: penfold's library first, then those of this process's environment.
fn preloaded(library: PathBuf) -> OsString {
    let mut list = library.into_os_string();
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        list.push(":");
        list.push(others);
    }
    list
}

fn library() -> Result<PathBuf, Failure> {
    let given = std::env::var_os("PENFOLD_PRELOAD").filter(|path| !path.is_empty()).map(PathBuf::from);
    let candidates = if let Some(path) = given {
        vec![path]
    } else {
        let program =
            std::env::current_exe().map_err(|error| Failure::io("the path of this program", error))?;
        let directory = program.parent().unwrap_or(Path::new("/")).to_owned();
        ["", "../lib", "../lib/penfold"].map(|place| directory.join(place).join(LIBRARY)).to_vec()
    };
    let found = candidates.iter().find_map(|path| path.canonicalize().ok().filter(|path| path.is_file()));
    let Some(library) = found else {
        let places: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
        let places = places.join(", ");
        let detail = format!("no such file; looked at {places}; set PENFOLD_PRELOAD to where it is");
        return Err(Failure::new(ErrorKind::NotFound, Errno::ENOENT, "preload library", detail));
    };
    if library.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b':' | b' ')) {
        let detail = "the loader splits LD_PRELOAD at blanks and colons; move the library elsewhere";
        return Err(invalid(Errno::EINVAL, library.to_string_lossy(), detail));
    }
    Ok(library)
}

/// Finds a program as execvp(3) does.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(program.into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// The reason why the loader would not load the library into this program, if its file shows one.
fn not_preloadable(program: &Path) -> Option<&'static str> {
    let mode = std::fs::metadata(program).ok()?.permissions().mode();
    if mode & 0o6000 != 0 && !nix::unistd::geteuid().is_root() {
        return Some("is set-user-ID or set-group-ID");
    }
    let mut head = Vec::new();
    File::open(program).ok()?.take(4096).read_to_end(&mut head).ok()?;
    (has_interpreter(&head) == Some(false)).then_some("is statically linked")
}

/// Whether an executable names a loader, by its program headers (elf(5)).
///
/// `head` is the beginning of the file. `None` if that is not of a 64-bit ELF file in this machine's byte order, or
/// does not have the headers.
fn has_interpreter(head: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(length)?)?;
        let mut value = [0; 8];
        value[..length].copy_from_slice(bytes);
        Some(u64::from_le_bytes(value))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") || cfg!(target_endian = "big") {
        return None;
    }
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for header in 0..count {
        let at = usize::try_from(start.checked_add(header * size)?).ok()?;
        if number(at, 4)? == u64::from(PT_INTERP) {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_static_if_no_header_names_a_loader() {
        let this = std::fs::read(std::env::current_exe().expect("this program")).expect("read it");
        assert_eq!(has_interpreter(&this[..4096]), Some(true));
        assert_eq!(has_interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(has_interpreter(&this[..40]), None);
        let mut none = this[..4096].to_vec();
        none[56..58].copy_from_slice(&[0, 0]);
        assert_eq!(has_interpreter(&none), Some(false));
    }
}
