//! A job in the tree of another engine: the engine of the job around this one, or a daemon's.

use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use penfold_core::ErrorKind;
use penfold_linux::trace::{Command, ForwardedSignals, PausedChild};
use penfold_server::protocol::AttachCall;

use super::arguments::RunArguments;
use super::ended_job::{EndedJob, not_started, program_name};
use super::parent_engine::ParentEngine;
use super::remote_job::RemoteJob;
use super::temporary_modules::TemporaryModules;
use crate::address::CgroupAddress;
use crate::end_status::EndStatus;
use crate::failure::Failure;
use crate::interrupted;
use crate::relay::{self, RelayedCommand};
use crate::report::JobReport;

pub(super) fn run(
    arguments: &RunArguments,
    mut parent: ParentEngine,
    signals: &ForwardedSignals,
) -> Result<EndedJob, Failure> {
    let modules = TemporaryModules::load(&mut parent, &arguments.module)?;
    let mut job = RemoteJob::begin(parent, modules, arguments.group.as_deref())?;
    let done = run_in(arguments, &mut job, signals);
    let cgroups = job.cgroups.clone();
    let warnings = job.end();
    if let Some(signal) = interrupted::ended_by() {
        return Err(left_behind(interrupted::end(signal), &cgroups));
    }
    for warning in &warnings {
        eprintln!("penfold: warning: {warning}");
    }
    done
}

/// A failure of the daemon to answer, with the cgroups that it may not have removed.
fn left_behind(failure: Failure, cgroups: &[CgroupAddress]) -> Failure {
    let names: Vec<String> = cgroups.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return failure;
    }
    let detail = format!("{}, and may keep {}; remove it later", failure.detail, names.join(" and "));
    Failure { detail, ..failure }
}

fn run_in(
    arguments: &RunArguments,
    job: &mut RemoteJob,
    signals: &ForwardedSignals,
) -> Result<EndedJob, Failure> {
    for setting in &arguments.set {
        job.set(setting)?;
    }
    let began = Instant::now();
    let status = command(arguments, job, signals)?;
    // leftover processes are killed first: only then is all their use accounted for
    let warnings = job.kill();
    let used = job.usage()?;
    let report =
        JobReport::of_remote_job(&arguments.command, &arguments.set, warnings, began.elapsed(), status, used);
    Ok(EndedJob { status, report })
}

/// Runs the command in the job's cgroups.
///
/// The command is a child of this process if the engine can adopt the child under all rules of the cgroups. Such a
/// child keeps terminal, session, limits and open files as they are. Otherwise the daemon starts the command.
fn command(
    arguments: &RunArguments,
    job: &mut RemoteJob,
    signals: &ForwardedSignals,
) -> Result<EndStatus, Failure> {
    let program = program_name(&arguments.command);
    let child = PausedChild::fork(&Command::new(arguments.command.iter()))
        .map_err(|error| not_started(error, &program))?;
    match place(&child, job) {
        Ok(()) => {
            let (address, pid) = (job.remote.address().clone(), Pid::from_raw(child.pid().0));
            let noticed = |signal: i32| {
                if let Ok(signal @ (Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP)) =
                    Signal::try_from(signal)
                {
                    interrupted::end_with_child_unless_answered(address.clone(), signal, pid);
                }
            };
            let status = child.run(signals, noticed).map_err(|error| not_started(error, &program))?;
            return EndStatus::of_wait(status.into(), &program);
        }
        Err(failure) if job.embedded || !can_be_started_there(&failure) => {
            // the number of a process that never ran tells nobody anything
            let own = failure.subject == format!("task {}", child.pid());
            return Err(if own { failure.about(program) } else { failure });
        }
        Err(_) => drop(child),
    }
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdin())
        && std::io::IsTerminal::is_terminal(&std::io::stdout());
    let command = RelayedCommand::new(&job.cgroups, &arguments.command, terminal, false);
    relay::run(&mut job.remote, &command)
}

fn place(child: &PausedChild, job: &mut RemoteJob) -> Result<(), Failure> {
    for cgroup in job.cgroups.clone() {
        let call = AttachCall { cgroup: cgroup.0.clone(), task: child.pid().0.into(), process: true };
        job.remote.call(&call)?;
    }
    Ok(())
}

/// Whether the daemon may be able to start the command although it could not adopt the child.
///
/// The errno says that this running process can't be traced, or that it lacks a filter that some rule needs. Neither
/// is so for a command that the daemon starts.
fn can_be_started_there(failure: &Failure) -> bool {
    match failure.kind {
        ErrorKind::Unsupported => true,
        // EACCES is for a task of another user
        ErrorKind::NotPermitted => failure.errno == Errno::EPERM,
        _ => false,
    }
}
