//! Access to a running engine, for any thread.

use penfold_core::{
    Engine,
    host::{Host, HostView},
};

use super::engine_policy::EnginePolicy;
use crate::trace::tracer::{Gone, Handle};

/// Access to a running job's engine, for any thread.
///
/// A request runs on the calling thread, between two events of the tasks, so it must be short. A subsystem may need the
/// tracer for it, to freeze a task or to install a filter. That is done before the request returns.
///
/// A request from within another one, or from a callback of the host, would wait for itself.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) handle: Handle<EnginePolicy>,
}

impl Control {
    pub(crate) fn new(handle: Handle<EnginePolicy>) -> Self {
        Self { handle }
    }

    /// Runs a request. Forks in flight are not settled: a counter can be ahead of them, as the kernel's is.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended; then the request has not run.
    pub fn request<R>(&self, request: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Gone> {
        self.handle.with(|supervisor, policy| policy.request(&mut supervisor.tasks, request))
    }

    /// Reads from the engine, without settling forks.
    ///
    /// # Errors
    /// As [`Control::request`].
    pub fn with_snapshot<R>(&self, look: impl FnOnce(&Engine, &dyn HostView) -> R) -> Result<R, Gone> {
        self.handle.with(|supervisor, policy| look(&policy.engine, &supervisor.tasks))
    }

    /// Runs a request with every fork settled that was in flight, so that counters equal listings.
    ///
    /// # Errors
    /// As [`Control::request`].
    pub fn with_exact<R>(&self, request: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Gone> {
        self.handle.with_exact(|supervisor, policy| policy.request(&mut supervisor.tasks, request))
    }
}
