//! The interface between a daemon and its host.
//!
//! The trace host is one implementation. A daemon holds a [`HostHandle`] and works on the engine through
//! [`EngineAccess`], so its front ends can be tested on a host without processes.

use std::fmt;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{
    CgroupId, Engine, Event, Release, Tid,
    host::{Host, HostView},
};

use crate::doctor::HostFeature;
use crate::trace::{AdoptError, AtEnd, Command, DetachError, ExecError, ExecOptions, Gone, Survivor};

/// A request to engine and host, run under the host's lock.
pub type EngineRequest<'a> = dyn FnMut(&mut Engine, &mut dyn Host) + 'a;

/// Receives the releases and events that a host finds in its engine after a request or an event of a task.
///
/// The host calls it on a thread of its own choice and deals with no task meanwhile. It must return soon and make no
/// request.
pub type OnChange = Box<dyn Fn(Vec<Release>, Vec<Event>) + Send>;

/// Access to the engine, for any thread.
///
/// No task of the host is dealt with while a request runs, so a request must be short. A request must not make another
/// one.
pub trait EngineAccess: fmt::Debug + Send + Sync {
    /// The host's name, as `penfold doctor` shows it.
    fn name(&self) -> &'static str;

    /// Runs a request. Forks in flight are not settled: a counter can be ahead of them, as the kernel's is.
    ///
    /// # Errors
    /// [`Gone`] when the host has ended; then the request has not run.
    fn with(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone>;

    /// Runs a request with every fork settled that was in flight, so that counters equal listings.
    ///
    /// # Errors
    /// As [`EngineAccess::with`].
    fn with_exact(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone>;
}

impl dyn EngineAccess + '_ {
    /// Reads from the engine. Counts of tasks can be ahead of forks in flight.
    ///
    /// # Errors
    /// As [`EngineAccess::with`].
    pub fn with_snapshot<R>(&self, look: impl FnOnce(&Engine, &dyn HostView) -> R) -> Result<R, Gone> {
        self.request(|engine, host| look(engine, &*host))
    }

    /// [`EngineAccess::with`] for a request with a result.
    ///
    /// # Errors
    /// As [`EngineAccess::with`].
    pub fn request<R>(&self, request: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Gone> {
        once(request, |request| self.with(request))
    }

    /// [`EngineAccess::with_exact`] for a request with a result.
    ///
    /// # Errors
    /// As [`EngineAccess::with`].
    pub fn request_exact<R>(&self, request: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Gone> {
        once(request, |request| self.with_exact(request))
    }
}

/// Runs a request that can run only once, and returns its result.
fn once<R>(
    request: impl FnOnce(&mut Engine, &mut dyn Host) -> R,
    run: impl FnOnce(&mut EngineRequest<'_>) -> Result<(), Gone>,
) -> Result<R, Gone> {
    let (mut request, mut answer) = (Some(request), None);
    run(&mut |engine, host| {
        if let Some(request) = request.take() {
            answer = Some(request(engine, host));
        }
    })?;
    answer.ok_or(Gone)
}

/// A running host, for any thread of a daemon.
pub trait HostHandle: EngineAccess {
    /// Adopts the process of a task that runs already, into the root of every hierarchy.
    ///
    /// `started` is the start time in clock ticks since boot, field 22 of `/proc/PID/stat`. With it, only the process
    /// that was started then is adopted, and not another one that has its number now.
    ///
    /// # Errors
    /// [`AdoptError`]; then nothing has changed.
    fn adopt(&self, pid: Tid, started: Option<u64>) -> Result<(), AdoptError>;

    /// Adopts a process that an earlier host has left behind, described as in [`HostHandle::survivors`].
    ///
    /// # Errors
    /// [`AdoptError`]; `NoProcess` if the number is another process's now.
    fn readopt(&self, pid: Tid, started: u64, filter: u8) -> Result<(), AdoptError>;

    /// Runs a command in these cgroups, each of another hierarchy, and in the root of every other hierarchy.
    /// Authorization is the caller's responsibility.
    ///
    /// # Errors
    /// [`ExecError`]; then nothing runs. [`RunningCommand::wait`] reports a program that can't be executed.
    fn launch(
        &self,
        command: Command,
        cgroups: Vec<CgroupId>,
        options: ExecOptions,
    ) -> Result<Box<dyn RunningCommand>, ExecError>;

    /// Ends the supervision of an adopted process, which goes on outside of all cgroups. Its children stay supervised.
    ///
    /// # Errors
    /// [`DetachError`].
    fn detach(&self, pid: Tid) -> Result<(), DetachError>;

    /// The abilities of this host on this machine.
    fn features(&self) -> Vec<HostFeature>;

    /// The processes that would outlive this host, ascending. A journal needs them to find these processes again.
    ///
    /// # Errors
    /// [`Gone`] when the host was stopped.
    fn survivors(&self) -> Result<Vec<Survivor>, Gone>;

    /// Ends in order. Adopted processes go on untraced, thawed if they were frozen. `launched` says what becomes of
    /// launched ones.
    ///
    /// # Errors
    /// [`Gone`] when it was stopped before.
    fn stop(&self, launched: AtEnd) -> Result<(), Gone>;
}

/// A running command of a host.
pub trait RunningCommand: fmt::Debug + Send {
    /// The command's process id.
    fn pid(&self) -> Tid;

    /// Waits until the command has ended and, unless it is left running, everything that it left behind has died.
    /// Returns the status as wait(2) gives it.
    ///
    /// # Errors
    /// [`ExecError::Start`] when the program could not be executed, [`ExecError::Gone`] when the host was stopped.
    fn wait(self: Box<Self>) -> Result<i32, ExecError>;

    /// Sends a signal to the command.
    ///
    /// # Errors
    /// `ESRCH` when it has ended; otherwise those of kill(2).
    fn kill(&self, signal: c_int) -> Result<(), Errno>;
}
