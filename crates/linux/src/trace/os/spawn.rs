//! Starting a command under the tracer.
//!
//! The child waits at a pipe until it is seized and placed into its cgroups. The byte that it reads there names the
//! filter that it installs before it executes the command. The child stays in penfold's session and process group, so
//! that terminal and shell treat it as usual.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use libc::{c_char, c_int};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{getgroups, pipe2};
use rustix::fs::Mode;
use rustix::process::{self, Gid, Uid};
use rustix::{stdio, thread};

use super::command::{Command, CommandSession, User};
use super::signals::{self, InheritedSignals};
use penfold_core::Tid;

use super::filter::{self, TracedCalls};
use super::inheritance::{self, Inheritance};
use super::start_error::StartError;
use super::{errno, seize, task, wait};
use crate::descriptor_limit;
use crate::proc::{ResourceLimit, StatusFile, command_name};

fn system(step: &'static str) -> impl Fn(Errno) -> StartError {
    move |errno| StartError::System { step, errno }
}

/// A forked child that waits for [`ForkedChild::go`].
#[derive(Debug)]
pub(crate) struct ForkedChild {
    pub(crate) pid: Tid,
    /// Closed when the child may go on.
    go: Option<File>,
    /// Closed when its end is seen: a running command costs this process no descriptor.
    failure: Option<File>,
    /// The failed step and the errno, once they were read.
    reported: Option<[u8; 8]>,
    program: String,
}

/// Everything that the child needs between fork and exec, where it must not allocate.
struct ChildSetup<'a> {
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// Whether `environment` becomes the child's `environ`, in which `PATH` is looked up.
    replaces_environment: bool,
    directory: Option<&'a CStr>,
    user: Option<(Uid, Gid, Option<Vec<Gid>>)>,
    umask: Option<u32>,
    limits: &'a [ResourceLimit],
    inheritance: Option<&'a Inheritance>,
    nice: Option<i32>,
    stdio: [Option<BorrowedFd<'a>>; 3],
    only_stdio: bool,
    session: CommandSession,
    inherited: InheritedSignals,
    go: BorrowedFd<'a>,
    failure: BorrowedFd<'a>,
}

#[derive(Clone, Copy)]
enum SetupStage {
    KernelCgroups,
    Session,
    Streams,
    Limits,
    Filter,
    User,
    Directory,
    Exec,
}

impl SetupStage {
    const ALL: [SetupStage; 8] = [
        SetupStage::KernelCgroups,
        SetupStage::Session,
        SetupStage::Streams,
        SetupStage::Limits,
        SetupStage::Filter,
        SetupStage::User,
        SetupStage::Directory,
        SetupStage::Exec,
    ];
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

fn c_strings<'a>(strings: impl Iterator<Item = &'a [u8]>) -> Result<Vec<CString>, StartError> {
    strings.map(|bytes| CString::new(bytes).map_err(|_| StartError::Command)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Forks the child and seizes it. On the tracer thread, which becomes its parent.
pub(crate) fn launch(command: &Command, ptrace_options: c_int) -> Result<ForkedChild, StartError> {
    let launched = fork(command)?;
    let pid = launched.pid;
    let seized = loop {
        match seize::seize(pid, ptrace_options) {
            // a wake-up; no seize has to wait for this child
            Err(Errno::EINTR) => {}
            seized => break seized,
        }
    };
    if let Err(errno) = seized {
        let error = seize_error(pid, errno);
        let _ = task::kill(pid, libc::SIGKILL);
        wait::reap_blocking(pid);
        return Err(error);
    }
    Ok(launched)
}

/// Forks the child, without seizing it.
pub(crate) fn fork(command: &Command) -> Result<ForkedChild, StartError> {
    // the child may not allocate
    filter::prepare();
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
    let prepared = ChildSetup {
        argv: pointers(&argv),
        environment: pointers(&environment),
        replaces_environment: command.environment.is_some(),
        directory: directory.first().map(CString::as_c_str),
        user: command.user.as_ref().map(|User { uid, gid, groups }| {
            let changed = !has_groups(groups);
            let groups = changed.then(|| groups.iter().copied().map(Gid::from_raw_unchecked).collect());
            (Uid::from_raw_unchecked(*uid), Gid::from_raw_unchecked(*gid), groups)
        }),
        umask: command.umask,
        limits: &command.limits,
        inheritance: command.inheritance.as_deref(),
        nice: command.nice,
        stdio: [0, 1, 2].map(|stream: usize| command.stdio[stream].as_ref().map(AsFd::as_fd)),
        only_stdio: command.only_stdio,
        session: command.session,
        inherited: signals::inherited(),
        go: go_read.as_fd(),
        failure: failure_write.as_fd(),
    };
    // SAFETY: the child makes only async-signal-safe calls until it executes or exits.
    let pid = Errno::result(unsafe { libc::fork() }).map_err(system("fork"))?;
    if pid == 0 {
        prepared.run();
    }
    Ok(ForkedChild {
        pid: Tid(pid),
        go: Some(go.into()),
        failure: Some(failure.into()),
        reported: None,
        program,
    })
}

/// Whether these are this process's own supplementary groups. Inside `unshare -r` no process may set any, not even
/// those that it has.
fn has_groups(groups: &[u32]) -> bool {
    let sorted = |mut groups: Vec<u32>| {
        groups.sort_unstable();
        groups
    };
    let own = getgroups().map(|own| own.into_iter().map(nix::unistd::Gid::as_raw).collect());
    own.is_ok_and(|own| sorted(own) == sorted(groups.to_vec()))
}

fn seize_error(pid: Tid, errno: Errno) -> StartError {
    match StatusFile::read(pid).and_then(|status| status.tracer()) {
        Some(tracer) => StartError::Traced { tracer: command_name(tracer), pid: tracer },
        None => StartError::Seize(errno),
    }
}

impl ForkedChild {
    /// Lets the child install a filter that stops these calls, or none, and execute the command.
    pub(crate) fn go(&mut self, filter: Option<TracedCalls>) {
        // fails only when the child was killed; its death reports that
        if let Some(mut go) = self.go.take() {
            let _ = go.write_all(&[filter.map_or(0, TracedCalls::bits)]);
        }
    }

    /// Looks whether the child has executed its command, or has failed to. Either ends the use of the pipe.
    pub(crate) fn look(&mut self) {
        let Some(failure) = &mut self.failure else { return };
        let mut message = [0_u8; 8];
        match failure.read(&mut message) {
            Err(_) => return,
            // a write of this length is in the pipe as a whole or not at all
            Ok(length) => self.reported = Some(message).filter(|_| length == 8),
        }
        self.failure = None;
    }

    /// The reason why the command never started, once the child is dead; `None` when it did start.
    pub(crate) fn failure(&mut self) -> Option<StartError> {
        self.look();
        let message = self.reported?;
        let stage = i32::from_ne_bytes(message[..4].try_into().expect("four bytes"));
        let errno = Errno::from_raw(i32::from_ne_bytes(message[4..].try_into().expect("four bytes")));
        Some(match SetupStage::ALL.into_iter().find(|one| *one as i32 == stage).unwrap_or(SetupStage::Exec) {
            SetupStage::KernelCgroups => StartError::KernelCgroups(errno),
            SetupStage::Session => StartError::Session(errno),
            SetupStage::Streams => StartError::Streams(errno),
            SetupStage::Limits => StartError::Limits(errno),
            SetupStage::Filter => StartError::Filter(errno),
            SetupStage::User => StartError::User(errno),
            SetupStage::Directory => StartError::Directory(errno),
            SetupStage::Exec => StartError::Exec { program: self.program.clone(), errno },
        })
    }
}

impl ChildSetup<'_> {
    /// Runs in the child: prepares it, executes the command, and reports a failure.
    fn run(&self) -> ! {
        let (stage, errno) = self.attempt().err().unwrap_or((SetupStage::Exec, Errno::EIO));
        let mut message = [0_u8; 8];
        message[..4].copy_from_slice(&(stage as i32).to_ne_bytes());
        message[4..].copy_from_slice(&(errno as i32).to_ne_bytes());
        let code = if errno == Errno::ENOENT { 127 } else { 126 };
        let _ = rustix::io::write(self.failure, &message);
        end(code)
    }

    /// Prepares the child and executes the command. Returns only on a failure.
    ///
    /// The filter comes before the user: with root's rights it needs no *no new privileges*. The directory comes after,
    /// since perhaps only the user can enter it.
    fn attempt(&self) -> Result<(), (SetupStage, Errno)> {
        let at = |stage| move |errno| (stage, errno);
        let filter = self.wait();
        if let Some(inheritance) = self.inheritance {
            inheritance.enter_kernel_cgroups().map_err(at(SetupStage::KernelCgroups))?;
        }
        self.enter_session().map_err(at(SetupStage::Session))?;
        self.place_streams().map_err(at(SetupStage::Streams))?;
        // the daemon's own limits may be too low for its own settings, and the caller's too low for these
        if let Some(inheritance) = self.inheritance {
            inheritance.apply().map_err(at(SetupStage::Limits))?;
        }
        self.set_limits().map_err(at(SetupStage::Limits))?;
        if let Some(interest) = filter {
            filter::install(filter::program(interest)).map_err(at(SetupStage::Filter))?;
        }
        self.become_user().map_err(at(SetupStage::User))?;
        if let Some(directory) = self.directory {
            process::chdir(directory).map_err(errno).map_err(at(SetupStage::Directory))?;
        }
        if self.inheritance.is_some() {
            inheritance::join_new_keyring().map_err(at(SetupStage::User))?;
            signals::reset();
        } else {
            self.inherited.restore();
        }
        if self.replaces_environment {
            // SAFETY: this is the only thread of the process, and the array lives as long as the process.
            unsafe { environ = self.environment.as_ptr() };
        }
        // SAFETY: both arrays are null-terminated and point to C strings that outlive the call.
        unsafe { libc::execvpe(self.argv[0], self.argv.as_ptr(), self.environment.as_ptr()) };
        Err((SetupStage::Exec, Errno::last()))
    }

    /// Waits for the tracer's byte. Returns the calls that the filter is to stop.
    fn wait(&self) -> Option<TracedCalls> {
        let mut byte = [0];
        loop {
            match rustix::io::read(self.go, &mut byte) {
                Ok(1) => break,
                Err(rustix::io::Errno::INTR) => {}
                // the tracer is gone or could not seize the child
                _ => end(126),
            }
        }
        TracedCalls::of_bits(byte[0])
    }

    fn enter_session(&self) -> Result<(), Errno> {
        if self.session == CommandSession::Inherited {
            return Ok(());
        }
        process::setsid().map_err(errno)?;
        if self.session == CommandSession::Terminal {
            process::ioctl_tiocsctty(self.stdio[0].unwrap_or(stdio::stdin())).map_err(errno)?;
        }
        Ok(())
    }

    fn place_streams(&self) -> Result<(), Errno> {
        let mut copies: [Option<OwnedFd>; 3] = [const { None }; 3];
        for (copy, given) in copies.iter_mut().zip(self.stdio) {
            // out of the way of the three numbers that are taken next
            *copy = given.map(|file| rustix::io::fcntl_dupfd_cloexec(file, 3)).transpose().map_err(errno)?;
        }
        let places = [stdio::dup2_stdin, stdio::dup2_stdout, stdio::dup2_stderr];
        for (place, copy) in places.into_iter().zip(&copies) {
            copy.as_ref().map(place).transpose().map_err(errno)?;
        }
        if self.only_stdio {
            // SAFETY: takes numbers. The pipe for the report of a failure has to stay open until exec.
            Errno::result(unsafe {
                libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
            })?;
        }
        Ok(())
    }

    /// Sets umask, nice value and limits with the rights of this process: before the user changes.
    fn set_limits(&self) -> Result<(), Errno> {
        descriptor_limit::give_back();
        if let Some(mask) = self.umask {
            process::umask(Mode::from_bits_truncate(mask & 0o777));
        }
        if let Some(nice) = self.nice {
            process::setpriority_process(None, nice).map_err(errno)?;
        }
        for limit in self.limits {
            let both = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
            // SAFETY: the kernel reads both values; the pointer for the old ones is null.
            let rc = unsafe {
                libc::syscall(libc::SYS_prlimit64, 0, limit.resource, &raw const both, ptr::null_mut::<u8>())
            };
            Errno::result(rc)?;
        }
        Ok(())
    }

    /// Changes the user by bare system calls. The C library's functions would have every thread change, and a forked
    /// child has no other.
    fn become_user(&self) -> Result<(), Errno> {
        let Some((uid, gid, groups)) = &self.user else { return Ok(()) };
        if let Some(groups) = groups {
            thread::set_thread_groups(groups).map_err(errno)?;
        }
        thread::set_thread_res_gid(*gid, *gid, *gid).map_err(errno)?;
        thread::set_thread_res_uid(*uid, *uid, *uid).map_err(errno)
    }
}

/// Ends the process without running any exit handler.
fn end(code: c_int) -> ! {
    // SAFETY: takes a number.
    unsafe { libc::_exit(code) }
}
