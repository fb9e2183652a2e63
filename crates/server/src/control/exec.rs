//! The method `Exec`: a command in cgroups, with the rights of the caller.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, getegid, geteuid, isatty};
use penfold_core::{Access, Caller, CgroupId, Engine, ErrorKind, Tid, host::HostView};
use penfold_linux::host::RunningCommand;
use penfold_linux::proc::{TaskStatus, descriptor_path, kernel_cgroups, limits_of, open_working_directory};
use penfold_linux::trace::{Command, CommandSession, ExecError, ExecOptions, Inheritance, User};

use super::context::{CallContext, about, file_address, number};
use super::replies::ReplyWriter;
use super::{path, restrictions};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::protocol::{ExecCall, ExecReply};

/// Runs the command and replies with its pid. A client that takes more replies also gets the wait status.
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
    must_have_place(&context.client.caller, &cgroups)?;
    restrictions::must_not_exceed_ours(restrictions::Execution::Command, context.client, supervised)?;
    let (directory, open) = directory(context, call.directory.as_deref())?;
    let command = command(context, call, directory)?;
    // limits, umask, directory and priority were the client's if it lives after they were read
    context.client.must_live()?;
    let running = host.launch(command, cgroups, options).map_err(|error| match error {
        // the error does not say which of the cgroups did not take the command
        ExecError::Attach(error) => Failure::from(error).about(named),
        error => error.into(),
    })?;
    // the command's process has a copy of the descriptor now
    drop(open);
    Ok(running)
}

/// Checks that the command has a cgroup. Only the administrator may start a command outside of all. The command is a
/// child of the daemon, and would leave the caller's place for the daemon's. A supervised caller's own cgroups count. Its
/// command is where a child of the caller would be.
///
/// Also checks that the command's user is one: setresuid(2) takes -1 for "no change", which would keep the daemon's.
///
/// # Errors
/// `EPERM` without a cgroup; `EINVAL` for a user or group -1.
fn must_have_place(caller: &Caller, cgroups: &[CgroupId]) -> Result<(), Failure> {
    if [caller.uid, caller.gid].contains(&u32::MAX) || caller.groups.contains(&u32::MAX) {
        return Err(invalid(Errno::EINVAL, "caller", "has the user or group -1, which no command can have"));
    }
    if caller.privileged || !cgroups.is_empty() {
        return Ok(());
    }
    let detail = "none is named; only the administrator runs a command in no cgroup, so name one";
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "cgroups", detail))
}

/// The cgroups of the command, and whether the caller is supervised. In a hierarchy without an address in `addresses`,
/// the command is where a child of the caller would be.
fn places(context: &CallContext<'_>, addresses: Vec<String>) -> Result<(Vec<CgroupId>, bool), Failure> {
    let caller = &context.client.caller;
    context.service().with_snapshot(|engine, host| {
        let mut places: Vec<CgroupId> = Vec::new();
        for address in addresses {
            let cgroup = path::cgroup(engine, caller, &address)?;
            path::must_search(engine, caller, cgroup)?;
            let open = engine.open(caller, cgroup, "cgroup.procs", Access::WRITE);
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

/// The cgroups of a task; `None` if the task is not supervised.
fn own_cgroups(engine: &Engine, host: &dyn HostView, task: Tid) -> Option<Vec<CgroupId>> {
    let set = engine.tree().css_set(host.css_set(task)?)?;
    Some(set.cgroups().collect())
}

fn command(context: &CallContext<'_>, call: ExecCall, directory: PathBuf) -> Result<Command, Failure> {
    let bytes = |text: &str| OsString::from_vec(unescape(text).into_owned());
    if call.command.is_empty() {
        return Err(invalid(Errno::EINVAL, "command", "is empty"));
    }
    let task = context.client.caller.task;
    // without the caller's values the command would have the daemon's
    let unreadable = |errno| Failure::system("the caller's limits", errno);
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
        session: if terminal { CommandSession::Terminal } else { CommandSession::New },
        limits: limits_of(task).ok_or_else(|| unreadable(Errno::EACCES))?,
        inheritance: Some(Arc::new(inheritance(task)?)),
        ..Command::default()
    })
}

/// The directory that the command's process enters with the rights of the caller. The caller's own directory is opened
/// and held open: the caller may end as soon as it has its reply.
fn directory(context: &CallContext<'_>, given: Option<&str>) -> Result<(PathBuf, Option<OwnedFd>), Failure> {
    if let Some(given) = given {
        let path = PathBuf::from(OsString::from_vec(unescape(given).into_owned()));
        if path.is_absolute() {
            return Ok((path, None));
        }
        return Err(invalid(Errno::EINVAL, &path.to_string_lossy(), "not an absolute path"));
    }
    let open = open_working_directory(context.client.caller.task)
        .map_err(|errno| Failure::system("the caller's directory", errno))?;
    Ok((descriptor_path(open.as_fd()), Some(open)))
}

fn invalid(errno: Errno, subject: &str, detail: &str) -> Failure {
    Failure::new(ErrorKind::InvalidArgument, errno, subject, detail)
}

/// The user of the command. A daemon without root can run commands as its own user only, which needs no change of user.
fn user(context: &CallContext<'_>) -> Option<User> {
    let caller = &context.client.caller;
    let same = caller.uid == geteuid().as_raw() && caller.gid == getegid().as_raw();
    let (uid, gid, groups) = (caller.uid, caller.gid, caller.groups.clone());
    (geteuid().is_root() || !same).then_some(User { uid, gid, groups })
}

/// The state that the command has of the caller instead of the daemon.
///
/// # Errors
/// `ESRCH` if the caller is gone; `EPERM` if the daemon can't put the command into a kernel cgroup of the caller.
fn inheritance(caller: Tid) -> Result<Inheritance, Failure> {
    let gone = || Failure::new(ErrorKind::NoTask, Errno::ESRCH, "caller", "has ended");
    let own = kernel_cgroups(Tid(std::process::id().cast_signed())).unwrap_or_default();
    let theirs = kernel_cgroups(caller).ok_or_else(gone)?;
    let mut directories = Vec::new();
    for place in theirs.iter().filter(|place| !own.contains(place)) {
        let directory = place
            .directory()
            .filter(|directory| access(&directory.join("cgroup.procs"), AccessFlags::W_OK).is_ok());
        directories.push(directory.ok_or_else(|| {
            let detail = format!(
                "is in the kernel cgroup {place}, into which the daemon can't put the command; attach the caller \
                 (task 0) and let it run the command"
            );
            Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "caller", detail)
        })?);
    }
    Inheritance::of(caller, &directories).map_err(|errno| match errno {
        Errno::ESRCH => gone(),
        errno => Failure::system("caller", errno),
    })
}

/// The umask of the command: the caller's, unless the call has one.
fn umask(context: &CallContext<'_>, given: Option<i64>) -> Result<u32, Failure> {
    match given {
        Some(mask) => Ok(number::<u32>("umask", mask)? & 0o777),
        None => Ok(TaskStatus::read(context.client.caller.task).map_or(0o022, |process| process.umask)),
    }
}

/// Standard input, output and error of the command: three descriptors that came with the call, or `/dev/null`.
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
