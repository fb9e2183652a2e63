//! The trace host as [`HostHandle`], the interface of a daemon.

use std::sync::Arc;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{CgroupId, Tid};

use super::control::Control;
use super::job_builder::JobBuilder;
use super::machine::NAME;
use super::readopt::Survivor;
use super::trace_host::{ExecError, ExecOptions, TraceHost, TracedCommand};
use crate::doctor::{HostFeature, host_features};
use crate::host::{EngineAccess, EngineRequest, HostHandle, OnChange, RunningCommand};
use crate::trace::os::{Command, StartError};
use crate::trace::tracer::{AdoptError, AtEnd, DetachError, Gone};

/// Starts the host of a daemon, with an engine that has no subsystem yet.
///
/// # Errors
/// [`StartError::System`].
pub fn start_host(on_change: OnChange) -> Result<Arc<dyn HostHandle>, StartError> {
    let mut builder = JobBuilder::new(false);
    builder.on_change(on_change);
    Ok(Arc::new(TraceHost::start(builder)?))
}

impl EngineAccess for Control {
    fn name(&self) -> &'static str {
        NAME
    }

    fn with(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone> {
        self.request(|engine, host| request(engine, host))
    }

    fn with_exact(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone> {
        Control::with_exact(self, |engine, host| request(engine, host))
    }
}

impl EngineAccess for TraceHost {
    fn name(&self) -> &'static str {
        NAME
    }

    fn with(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone> {
        EngineAccess::with(&self.control(), request)
    }

    fn with_exact(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone> {
        EngineAccess::with_exact(&self.control(), request)
    }
}

impl HostHandle for TraceHost {
    fn adopt(&self, pid: Tid, started: Option<u64>) -> Result<(), AdoptError> {
        match started {
            None => TraceHost::adopt(self, pid),
            Some(time) => self.adopt_started(pid, time),
        }
    }

    fn readopt(&self, pid: Tid, started: u64, filter: u8) -> Result<(), AdoptError> {
        TraceHost::readopt(self, pid, started, filter)
    }

    fn launch(
        &self,
        command: Command,
        cgroups: Vec<CgroupId>,
        options: ExecOptions,
    ) -> Result<Box<dyn RunningCommand>, ExecError> {
        Ok(Box::new(self.exec(command, cgroups, options)?))
    }

    fn detach(&self, pid: Tid) -> Result<(), DetachError> {
        TraceHost::detach(self, pid)
    }

    fn features(&self) -> Vec<HostFeature> {
        host_features().into_iter().filter(|one| one.host == NAME).collect()
    }

    fn survivors(&self) -> Result<Vec<Survivor>, Gone> {
        TraceHost::survivors(self)
    }

    fn stop(&self, launched: AtEnd) -> Result<(), Gone> {
        TraceHost::stop(self, launched).map(drop)
    }
}

impl RunningCommand for TracedCommand {
    fn pid(&self) -> Tid {
        TracedCommand::pid(self)
    }

    fn wait(self: Box<Self>) -> Result<i32, ExecError> {
        TracedCommand::wait(*self)
    }

    fn kill(&self, signal: c_int) -> Result<(), Errno> {
        TracedCommand::kill(self, signal)
    }
}
