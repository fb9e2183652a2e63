//! The three texts of `/proc`, with penfold's hierarchies.

use nix::errno::Errno;
use penfold_core::{CssSetId, ErrorKind, Tid};
use penfold_linux::proc::TaskStatus;

use crate::disabled::with_disabled;
use crate::failure::Failure;
use crate::service::Service;

/// The text of `/proc/cgroups`: a line for each subsystem, disabled ones too.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub fn cgroups(service: &Service) -> Result<Vec<u8>, Failure> {
    let loaded = service.with_snapshot(|engine, _| engine.proc_cgroups())?;
    Ok(with_disabled(loaded, service.disabled()).into_bytes())
}

/// The text of `/proc/PID/cgroup`. A task that is not supervised is in every root, and so is a zombie, as in Linux.
///
/// # Errors
/// `ESRCH` if there is no such task; `ESHUTDOWN` when the daemon is ending.
pub fn pid_cgroup(service: &Service, task: Tid) -> Result<Vec<u8>, Failure> {
    let exiting = must_exist(task)?;
    service.with_exact(|engine, host| {
        let known = host.task(task);
        let dead = known.map_or(exiting, |facts| facts.exiting);
        let set = host.css_set(task).unwrap_or(engine.initial_css_set());
        Ok(engine.proc_pid_cgroup((!dead).then_some(set))?)
    })?
}

/// The text of `/proc/PID/cpuset`. A zombie still has its last path, as long as the host knows it.
///
/// # Errors
/// As [`pid_cgroup`].
pub fn pid_cpuset(service: &Service, task: Tid) -> Result<Vec<u8>, Failure> {
    must_exist(task)?;
    service.with_exact(|engine, host| {
        let known: Option<CssSetId> = host.css_set(task);
        Ok(engine.proc_pid_cpuset(Some(known.unwrap_or(engine.initial_css_set())))?)
    })?
}

/// Returns whether the task is a zombie.
///
/// # Errors
/// `ESRCH` if there is no such task.
fn must_exist(task: Tid) -> Result<bool, Failure> {
    let process = TaskStatus::read(task);
    let none = || Failure::new(ErrorKind::NoTask, Errno::ESRCH, format!("task {task}"), "no such process");
    process.map(|process| process.exiting).ok_or_else(none)
}
