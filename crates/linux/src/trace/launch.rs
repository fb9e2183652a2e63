//! Starting the command under the tracer.
//!
//! The child waits at a pipe until it is seized, installs the filter and executes the command. It stays a
//! plain child in penfold's session and process group, so that terminal and shell treat it as usual.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

use libc::{c_char, c_int, sock_filter};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::signals::{self, Inherited};
use super::{Tid, filter, sys};

/// A command to run.
#[derive(Debug, Clone)]
pub struct Command {
    /// Program and arguments; a program without a slash is looked for in `PATH`.
    pub argv: Vec<OsString>,
    /// The environment; `None` for that of this process.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The working directory; `None` for that of this process.
    pub directory: Option<PathBuf>,
}

impl Command {
    /// A command in the environment and directory of this process.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), environment: None, directory: None }
    }
}

/// Why a job could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The command is empty, or contains a NUL byte.
    #[error("the command is empty or contains a NUL byte")]
    Command,
    /// The child or its surroundings could not be made.
    #[error("cannot {step}: {errno}")]
    System {
        /// What was attempted.
        step: &'static str,
        /// Why it failed.
        errno: Errno,
    },
    /// A tracer may not be traced: something else traces the command already.
    #[error("cannot trace the command: {tracer} (pid {pid}) traces it already; run penfold outside of it")]
    Traced {
        /// The other tracer's command name.
        tracer: String,
        /// Its process id.
        pid: Tid,
    },
    /// ptrace is not permitted here.
    #[error(
        "cannot trace the command: {0}; ptrace is refused here (a container's seccomp profile, Yama, or another penfold \
         around this one)"
    )]
    Seize(Errno),
    /// The command could not be executed.
    #[error("cannot execute {program}: {errno}")]
    Exec {
        /// The program as given.
        program: String,
        /// Why: `ENOENT` for not found.
        errno: Errno,
    },
    /// The seccomp filter could not be installed.
    #[error("cannot install the seccomp filter: {0}; the kernel lacks CONFIG_SECCOMP_FILTER or forbids it")]
    Filter(Errno),
    /// The working directory could not be entered.
    #[error("cannot enter the working directory: {0}")]
    Directory(Errno),
}

fn system(step: &'static str) -> impl Fn(Errno) -> StartError {
    move |errno| StartError::System { step, errno }
}

/// A child that waits to be let loose.
pub(super) struct Launched {
    pub(super) pid: Tid,
    go: File,
    failure: File,
    program: String,
}

/// All that the child needs between fork and exec, where it must not allocate.
struct Prepared<'a> {
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    directory: *const c_char,
    filter: &'a [sock_filter],
    inherited: Inherited,
    go: RawFd,
    failure: RawFd,
}

#[derive(Clone, Copy)]
enum Stage {
    Directory,
    Filter,
    Exec,
}

fn c_strings<'a>(strings: impl Iterator<Item = &'a [u8]>) -> Result<Vec<CString>, StartError> {
    strings.map(|bytes| CString::new(bytes).map_err(|_| StartError::Command)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Forks the child, which must happen on the tracer thread, and seizes it.
pub(super) fn launch(
    command: &Command,
    filter: &[sock_filter],
    ptrace_options: c_int,
) -> Result<Launched, StartError> {
    let argv = c_strings(command.argv.iter().map(|arg| arg.as_bytes()))?;
    let program = argv.first().ok_or(StartError::Command)?.to_string_lossy().into_owned();
    let variables = command.environment.clone().unwrap_or_else(|| std::env::vars_os().collect());
    let variables: Vec<Vec<u8>> =
        variables.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
    let environment = c_strings(variables.iter().map(Vec::as_slice))?;
    let directory = c_strings(command.directory.iter().map(|path| path.as_os_str().as_bytes()))?;
    let (go_read, go) = pipe2(OFlag::O_CLOEXEC).map_err(system("make a pipe"))?;
    let (failure, failure_write) =
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(system("make a pipe"))?;
    let prepared = Prepared {
        argv: pointers(&argv),
        environment: pointers(&environment),
        directory: directory.first().map_or(ptr::null(), |path| path.as_ptr()),
        filter,
        inherited: signals::inherited(),
        go: go_read.as_raw_fd(),
        failure: failure_write.as_raw_fd(),
    };
    // SAFETY: the child makes only async-signal-safe calls until it executes or exits.
    let pid = Errno::result(unsafe { libc::fork() }).map_err(system("fork"))?;
    if pid == 0 {
        prepared.run();
    }
    if let Err(errno) = sys::seize(pid, ptrace_options) {
        let error = seize_error(pid, errno);
        let _ = sys::kill(pid, libc::SIGKILL);
        sys::reap_blocking(pid);
        return Err(error);
    }
    Ok(Launched { pid, go: go.into(), failure: failure.into(), program })
}

fn seize_error(pid: Tid, errno: Errno) -> StartError {
    match sys::status_field(pid, "TracerPid").and_then(|tracer| tracer.parse().ok()) {
        Some(tracer) if tracer != 0 => StartError::Traced { tracer: sys::comm(tracer), pid: tracer },
        _ => StartError::Seize(errno),
    }
}

impl Launched {
    /// Lets the child install its filter and execute the command.
    pub(super) fn go(&mut self) {
        // fails only when the child was killed, which its death will tell
        let _ = self.go.write_all(b"g");
    }

    /// Why the command never started, once the child is dead; `None` when it did start.
    pub(super) fn failure(&self) -> Option<StartError> {
        let mut message = [0_u8; 8];
        (&self.failure).read_exact(&mut message).ok()?;
        let stage = i32::from_ne_bytes(message[..4].try_into().expect("four bytes"));
        let errno = Errno::from_raw(i32::from_ne_bytes(message[4..].try_into().expect("four bytes")));
        Some(match stage {
            stage if stage == Stage::Directory as i32 => StartError::Directory(errno),
            stage if stage == Stage::Filter as i32 => StartError::Filter(errno),
            _ => StartError::Exec { program: self.program.clone(), errno },
        })
    }
}

impl Prepared<'_> {
    /// The child's side.
    fn run(&self) -> ! {
        let (stage, errno) = match self.attempt() {
            (stage, Err(errno)) => (stage, errno),
            (stage, Ok(())) => (stage, Errno::EIO),
        };
        let mut message = [0_u8; 8];
        message[..4].copy_from_slice(&(stage as i32).to_ne_bytes());
        message[4..].copy_from_slice(&(errno as i32).to_ne_bytes());
        let code = if errno == Errno::ENOENT { 127 } else { 126 };
        // SAFETY: writes 8 bytes from a buffer of 8, then ends the process without running any handler.
        unsafe {
            libc::write(self.failure, message.as_ptr().cast(), message.len());
            libc::_exit(code)
        }
    }

    fn attempt(&self) -> (Stage, Result<(), Errno>) {
        let mut byte = 0_u8;
        // SAFETY: reads one byte into a buffer of one.
        while unsafe { libc::read(self.go, (&raw mut byte).cast(), 1) } != 1 {
            if Errno::last() != Errno::EINTR {
                // SAFETY: ends the process. The tracer is gone or could not seize us.
                unsafe { libc::_exit(126) }
            }
        }
        if !self.directory.is_null() {
            // SAFETY: directory is a C string that lives in the caller.
            if let Err(errno) = Errno::result(unsafe { libc::chdir(self.directory) }) {
                return (Stage::Directory, Err(errno));
            }
        }
        if let Err(errno) = filter::install(self.filter) {
            return (Stage::Filter, Err(errno));
        }
        self.inherited.restore();
        // SAFETY: both arrays are null-terminated and point to C strings that live in the caller.
        unsafe { libc::execvpe(self.argv[0], self.argv.as_ptr(), self.environment.as_ptr()) };
        (Stage::Exec, Err(Errno::last()))
    }
}
