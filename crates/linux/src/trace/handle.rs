//! The trace host behind the interface that a daemon knows.
//!
//! Temporary: every request takes a turn of the tracer here, also one that need not be exact.

use std::sync::Arc;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{CgroupId, Engine, Host, Tid};

use super::{
    AdoptError, AtEnd, Command, Control, ExecError, ExecOptions, Gone, ReleaseError, Running, StartError,
    Survivor, TraceHost, Workshop,
};
use crate::doctor::{Capability, capabilities};
use crate::host::{EngineAccess, HostHandle, OnChange, Request, RunningCommand};

const NAME: &str = "trace";

/// Starts the host of a daemon, with an engine that has no subsystem yet.
///
/// # Errors
/// [`StartError::System`].
pub fn start_host(on_change: OnChange) -> Result<Arc<dyn HostHandle>, StartError> {
    let mut workshop = Workshop::new(false);
    workshop.on_change(on_change);
    Ok(Arc::new(TraceHost::start(workshop)?))
}

/// A request without its lifetime, for the tracer thread.
struct Blocked(&'static mut Request<'static>);

// SAFETY: only `EngineAccess::with_exact` makes one. The thread that made the request waits until it has run or was
// dropped, so no two threads use what the request borrows at the same time.
unsafe impl Send for Blocked {}

impl Blocked {
    fn run(self, engine: &mut Engine, host: &mut dyn Host) {
        (self.0)(engine, host);
    }
}

impl EngineAccess for Control {
    fn name(&self) -> &'static str {
        NAME
    }

    fn with(&self, request: &mut Request<'_>) -> Result<(), Gone> {
        self.with_exact(request)
    }

    fn with_exact(&self, request: &mut Request<'_>) -> Result<(), Gone> {
        // SAFETY: the two types differ in lifetimes only. `Control::with` returns after the closure that has this value
        // has run or was dropped, and the request is borrowed for longer than that call: nothing uses it afterwards.
        let request =
            Blocked(unsafe { std::mem::transmute::<&mut Request<'_>, &mut Request<'static>>(request) });
        Control::with(self, move |engine, host| request.run(engine, host))
    }
}

impl EngineAccess for TraceHost {
    fn name(&self) -> &'static str {
        NAME
    }

    fn with(&self, request: &mut Request<'_>) -> Result<(), Gone> {
        EngineAccess::with(&self.control(), request)
    }

    fn with_exact(&self, request: &mut Request<'_>) -> Result<(), Gone> {
        self.control().with_exact(request)
    }
}

impl HostHandle for TraceHost {
    fn adopt(&self, pid: Tid, started: Option<u64>) -> Result<(), AdoptError> {
        match started {
            None => TraceHost::adopt(self, pid.0),
            Some(time) => self.adopt_started(pid.0, time),
        }
    }

    fn readopt(&self, pid: Tid, started: u64, filter: u8) -> Result<(), AdoptError> {
        self.adopt_again(pid.0, started, filter)
    }

    fn launch(
        &self,
        command: Command,
        cgroups: Vec<CgroupId>,
        options: ExecOptions,
    ) -> Result<Box<dyn RunningCommand>, ExecError> {
        Ok(Box::new(self.exec(command, cgroups, options)?))
    }

    fn release(&self, pid: Tid) -> Result<(), ReleaseError> {
        TraceHost::release(self, pid.0)
    }

    fn strengths(&self) -> Vec<Capability> {
        capabilities().into_iter().filter(|one| one.host == NAME).collect()
    }

    fn survivors(&self) -> Result<Vec<Survivor>, Gone> {
        TraceHost::survivors(self)
    }

    fn stop(&self, launched: AtEnd) -> Result<(), Gone> {
        TraceHost::stop(self, launched).map(drop)
    }
}

impl RunningCommand for Running {
    fn pid(&self) -> Tid {
        Tid(Running::pid(self))
    }

    fn wait(self: Box<Self>) -> Result<i32, ExecError> {
        Running::wait(*self)
    }

    fn kill(&self, signal: c_int) -> Result<(), Errno> {
        Running::kill(self, signal)
    }
}
