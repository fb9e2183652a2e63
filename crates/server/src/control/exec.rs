//! Running a command in cgroups, as whoever asks.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, isatty};
use penfold_core::{CgroupId, Engine, ErrorKind, Tid, host::HostView};
use penfold_linux::host::RunningCommand;
use penfold_linux::inherit::limits_of;
use penfold_linux::process::Process;
use penfold_linux::trace::{Command, ExecError, ExecOptions, Session, User};

use super::context::{CallContext, about, file_address, number};
use super::replies::ReplyWriter;
use super::{path, restrictions};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::protocol::{ExecCall, ExecReply};

const WRITE: u32 = 2;

/// Answers the pid and, if the client waits for it, the wait status.
pub(super) fn exec(
    context: &CallContext<'_>,
    call: ExecCall,
    replies: &mut ReplyWriter<'_>,
) -> io::Result<()> {
    let running = match start(context, call) {
        Ok(running) => running,
        Err(failure) => return replies.refuse(&failure),
    };
    let pid = context.client.number(running.pid()).map_or(0, i64::from);
    if !replies.more {
        return replies.reply(&ExecReply { pid, status: None });
    }
    replies.continue_with(&ExecReply { pid, status: None })?;
    match running.wait() {
        Ok(status) => replies.reply(&ExecReply { pid, status: Some(i64::from(status)) }),
        Err(error) => replies.refuse(&error.into()),
    }
}

fn start(context: &CallContext<'_>, call: ExecCall) -> Result<Box<dyn RunningCommand>, Failure> {
    let named = call.cgroups.join(", ");
    let host = context.service().host().map_err(about(&named))?;
    let options =
        ExecOptions { leave_running: call.leave_running.unwrap_or(false), ..ExecOptions::default() };
    let (cgroups, supervised) = places(context, call.cgroups.clone())?;
    let caller = &context.client.caller;
    restrictions::must_not_exceed_ours(
        restrictions::Execution::Command,
        caller.task.0,
        caller.uid,
        supervised,
    )?;
    let (directory, open) = directory(context, call.directory.as_deref())?;
    let running =
        host.launch(command(context, call, directory)?, cgroups, options).map_err(|error| match error {
            // which of them did not take the command is not known
            ExecError::Attach(error) => Failure::from(error).about(named),
            error => error.into(),
        })?;
    // the command's process has a copy of it now
    drop(open);
    Ok(running)
}

/// Where the command goes: into the cgroups that were asked for and, in every other hierarchy, where a child of the
/// caller would be. Also whether the caller is supervised.
fn places(context: &CallContext<'_>, addresses: Vec<String>) -> Result<(Vec<CgroupId>, bool), Failure> {
    let caller = &context.client.caller;
    context.service().with_snapshot(|engine, host| {
        let mut places: Vec<CgroupId> = Vec::new();
        for address in addresses {
            let cgroup = path::cgroup(engine, caller, &address)?;
            path::must_search(engine, caller, cgroup)?;
            let open = engine.open(caller, cgroup, "cgroup.procs", WRITE);
            open.map_err(|error| Failure::from(error).about(file_address(&address, "cgroup.procs")))?;
            let hierarchy = engine.tree().hierarchy_of(cgroup).id;
            if places.iter().any(|other| engine.tree().hierarchy_of(*other).id == hierarchy) {
                let detail = format!("a second cgroup of hierarchy {hierarchy}");
                return Err(Failure::new(ErrorKind::InvalidArgument, Errno::EINVAL, address, detail));
            }
            places.push(cgroup);
        }
        let own = own_cgroups(engine, host, caller.task);
        let supervised = own.is_some();
        for cgroup in own.into_iter().flatten() {
            let hierarchy = engine.tree().hierarchy_of(cgroup).id;
            let named = places.iter().any(|other| engine.tree().hierarchy_of(*other).id == hierarchy);
            if hierarchy != 0 && !named {
                places.push(cgroup);
            }
        }
        Ok((places, supervised))
    })?
}

fn own_cgroups(engine: &Engine, host: &dyn HostView, task: Tid) -> Option<Vec<CgroupId>> {
    let set = engine.tree().css_set(host.css_set(task)?)?;
    Some(set.cgroups().collect())
}

fn command(context: &CallContext<'_>, call: ExecCall, directory: PathBuf) -> Result<Command, Failure> {
    let bytes = |text: &str| OsString::from_vec(unescape(text).into_owned());
    if call.command.is_empty() {
        return Err(invalid(Errno::EINVAL, "command", "is empty"));
    }
    let terminal = call.terminal.unwrap_or(false);
    let stdio = streams(context, &call.streams)?;
    if terminal && !stdio[0].as_ref().is_some_and(|input| isatty(input).unwrap_or(false)) {
        return Err(invalid(Errno::ENOTTY, "stream 0", "is to be the terminal, and is none"));
    }
    let variables = call.environment.iter().map(|variable| (bytes(&variable.name), bytes(&variable.value)));
    Ok(Command {
        argv: call.command.iter().map(|word| bytes(word)).collect(),
        environment: Some(variables.collect()),
        directory: Some(directory),
        umask: Some(umask(context, call.umask)?),
        user: user(context),
        stdio,
        only_stdio: true,
        session: if terminal { Session::Terminal } else { Session::New },
        limits: limits_of(context.client.caller.task.0).unwrap_or_default(),
        ..Command::default()
    })
}

/// What the command's process enters with the rights of the caller. Its own directory is held open: the caller may end as
/// soon as it has its answer.
fn directory(context: &CallContext<'_>, given: Option<&str>) -> Result<(PathBuf, Option<OwnedFd>), Failure> {
    if let Some(given) = given {
        let path = PathBuf::from(OsString::from_vec(unescape(given).into_owned()));
        if path.is_absolute() {
            return Ok((path, None));
        }
        return Err(invalid(Errno::EINVAL, &path.to_string_lossy(), "not an absolute path"));
    }
    let own = format!("/proc/{}/cwd", context.client.caller.task);
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let open = nix::fcntl::open(&*own, flags, Mode::empty())
        .map_err(|errno| Failure::system("the caller's directory", errno))?;
    Ok((format!("/proc/self/fd/{}", open.as_raw_fd()).into(), Some(open)))
}

fn invalid(errno: Errno, subject: &str, detail: &str) -> Failure {
    Failure::new(ErrorKind::InvalidArgument, errno, subject, detail)
}

/// A daemon without root can run commands as its own user only, and needs to change nothing for that.
fn user(context: &CallContext<'_>) -> Option<User> {
    let caller = &context.client.caller;
    let same = caller.uid == geteuid().as_raw() && caller.gid == getegid().as_raw();
    let (uid, gid, groups) = (caller.uid, caller.gid, caller.groups.clone());
    (geteuid().is_root() || !same).then_some(User { uid, gid, groups })
}

/// The caller's, if it names none.
fn umask(context: &CallContext<'_>, given: Option<i64>) -> Result<u32, Failure> {
    match given {
        Some(mask) => Ok(number::<u32>("umask", mask)? & 0o777),
        None => Ok(Process::read(context.client.caller.task.0).map_or(0o022, |process| process.umask)),
    }
}

/// Three descriptors that came with the call, or nothing to read and write at all.
fn streams(context: &CallContext<'_>, indexes: &[i64]) -> Result<[Option<Arc<OwnedFd>>; 3], Failure> {
    match indexes {
        [] => {
            let open = File::options().read(true).write(true).open("/dev/null");
            let null = open.map_err(|error| Failure::io("/dev/null", error))?;
            let null = Arc::new(OwnedFd::from(null));
            Ok([0, 1, 2].map(|_| Some(Arc::clone(&null))))
        }
        &[input, output, error] => {
            Ok([Some(context.passed(input)?), Some(context.passed(output)?), Some(context.passed(error)?)])
        }
        _ => Err(invalid(Errno::EINVAL, "streams", "three indexes of descriptors, or none at all")),
    }
}
