//! Running a command in cgroups, as whoever asks.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid, isatty};
use penfold_core::{CgroupId, Engine, Host, Tid};
use penfold_linux::trace::{Command, ExecOptions, Running, Session, User};

use super::ask::Ask;
use super::replies::Replies;
use super::{confinement, path};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::protocol::{ExecCall, ExecReply};

const WRITE: u32 = 2;

/// Answers the pid and, if the client waits for it, the wait status.
pub(super) fn exec(ask: &Ask<'_>, call: ExecCall, replies: &mut Replies<'_>) -> io::Result<()> {
    let running = match start(ask, call) {
        Ok(running) => running,
        Err(failure) => return replies.refuse(&failure),
    };
    let pid = ask.client.number(Tid(running.pid())).map_or(0, i64::from);
    if !replies.more {
        return replies.reply(&ExecReply { pid, status: None });
    }
    replies.continue_with(&ExecReply { pid, status: None })?;
    match running.wait() {
        Ok(status) => replies.reply(&ExecReply { pid, status: Some(i64::from(status)) }),
        Err(error) => replies.refuse(&error.into()),
    }
}

fn start(ask: &Ask<'_>, call: ExecCall) -> Result<Running, Failure> {
    let host = ask.desk().host()?;
    let options =
        ExecOptions { leave_running: call.leave_running.unwrap_or(false), ..ExecOptions::default() };
    let (cgroups, supervised) = places(ask, call.cgroups.clone())?;
    let caller = &ask.client.caller;
    confinement::must_not_exceed_ours(caller.task.0, caller.uid, supervised)?;
    Ok(host.exec(command(ask, call)?, cgroups, options)?)
}

/// Where the command goes: into the cgroups that were asked for and, in every other hierarchy, where a child of the
/// caller would be. Also whether the caller is supervised.
fn places(ask: &Ask<'_>, addresses: Vec<String>) -> Result<(Vec<CgroupId>, bool), Failure> {
    let caller = ask.client.caller.clone();
    ask.desk().look(move |engine, host| {
        let mut places: Vec<CgroupId> = Vec::new();
        for address in addresses {
            let cgroup = path::cgroup(engine, &caller, &address)?;
            path::must_search(engine, &caller, cgroup)?;
            engine.open(&caller, cgroup, "cgroup.procs", WRITE)?;
            let hierarchy = engine.tree().hierarchy_of(cgroup).id;
            if places.iter().any(|other| engine.tree().hierarchy_of(*other).id == hierarchy) {
                let message = format!("{address}: a second cgroup of hierarchy {hierarchy}");
                return Err(Failure::new(Errno::EINVAL, message));
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

fn own_cgroups(engine: &Engine, host: &dyn Host, task: Tid) -> Option<Vec<CgroupId>> {
    let set = engine.tree().css_set(host.css_set(task)?)?;
    Some(set.cgroups().collect())
}

fn command(ask: &Ask<'_>, call: ExecCall) -> Result<Command, Failure> {
    let bytes = |text: &str| OsString::from_vec(unescape(text).into_owned());
    if call.command.is_empty() {
        return Err(Failure::new(Errno::EINVAL, "exec: the command is empty"));
    }
    let terminal = call.terminal.unwrap_or(false);
    let stdio = streams(ask, &call.streams)?;
    if terminal && !stdio[0].as_ref().is_some_and(|input| isatty(input).unwrap_or(false)) {
        return Err(Failure::new(Errno::ENOTTY, "exec: stream 0 is to be the terminal, and is none"));
    }
    let variables = call.environment.iter().map(|variable| (bytes(&variable.name), bytes(&variable.value)));
    Ok(Command {
        argv: call.command.iter().map(|word| bytes(word)).collect(),
        environment: Some(variables.collect()),
        directory: Some(directory(ask, call.directory.as_deref().map(bytes))?),
        user: user(ask),
        stdio,
        only_stdio: true,
        session: if terminal { Session::Terminal } else { Session::New },
        umask: call.umask.map(|mask| mask as u32 & 0o777),
        ..Command::default()
    })
}

/// Entered with the rights of the caller, whichever it is.
fn directory(ask: &Ask<'_>, given: Option<OsString>) -> Result<PathBuf, Failure> {
    match given.map(PathBuf::from) {
        None => Ok(format!("/proc/{}/cwd", ask.client.caller.task).into()),
        Some(path) if path.is_absolute() => Ok(path),
        Some(path) => {
            let message = format!("exec: the directory {} is not an absolute path", path.display());
            Err(Failure::new(Errno::EINVAL, message))
        }
    }
}

/// A daemon without root can run commands as its own user only, and needs to change nothing for that.
fn user(ask: &Ask<'_>) -> Option<User> {
    let caller = &ask.client.caller;
    let same = caller.uid == geteuid().as_raw() && caller.gid == getegid().as_raw();
    let (uid, gid, groups) = (caller.uid, caller.gid, caller.groups.clone());
    (geteuid().is_root() || !same).then_some(User { uid, gid, groups })
}

/// Three descriptors that came with the call, or nothing to read and write at all.
fn streams(ask: &Ask<'_>, indexes: &[i64]) -> Result<[Option<Arc<OwnedFd>>; 3], Failure> {
    match indexes {
        [] => {
            let open = File::options().read(true).write(true).open("/dev/null");
            let null = open.map_err(|error| Failure::new(Errno::ENODEV, format!("/dev/null: {error}")))?;
            let null = Arc::new(OwnedFd::from(null));
            Ok([0, 1, 2].map(|_| Some(Arc::clone(&null))))
        }
        &[input, output, error] => {
            Ok([Some(ask.passed(input)?), Some(ask.passed(output)?), Some(ask.passed(error)?)])
        }
        _ => {
            Err(Failure::new(Errno::EINVAL, "exec: streams are three indexes of descriptors, or none at all"))
        }
    }
}
