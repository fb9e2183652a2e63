//! The only access to the engine, shared by the control socket and the file views.
//!
//! A [`Service`] does every operation as a [`Client`](crate::client::Client) and sends an [`Announcement`] of it to
//! all observers. This file has the requests to the engine. The operations are in `mounts.rs`, `directories.rs`,
//! `files.rs` and `modules.rs`. Paths, names, task numbers and JSON are left to the front ends.

use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_core::{
    Engine,
    host::{Host, HostView},
};
use penfold_linux::host::{EngineAccess, HostHandle};

use crate::change::{Announcement, EngineChange, ViewId};
use crate::client::Trust;
use crate::failure::Failure;
use crate::module_registry::ModuleRegistry;

/// The engine and the host of a daemon. Clones share them, and any thread may use one.
#[derive(Clone)]
pub struct Service {
    shared: Arc<ServiceShared>,
}

struct ServiceShared {
    engine: Arc<dyn EngineAccess>,
    /// `None` for the engine of one `penfold run`, which adopts no process.
    host: Option<Arc<dyn HostHandle>>,
    trust: Trust,
    observers: Mutex<Vec<Observer>>,
    modules: ModuleRegistry,
}

/// Called with every change until it returns false.
type Observer = Box<dyn Fn(&Announcement) -> bool + Send>;

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("trust", &self.shared.trust).finish_non_exhaustive()
    }
}

impl Service {
    /// The service of a daemon.
    pub fn new(host: Arc<dyn HostHandle>, trust: Trust) -> Service {
        Service::of(Arc::clone(&host) as Arc<dyn EngineAccess>, Some(host), trust)
    }

    /// The service of one `penfold run`. It serves the tasks of the job only, and adopts no process.
    pub fn embedded(engine: Arc<dyn EngineAccess>) -> Service {
        Service::of(engine, None, Trust::Nobody)
    }

    fn of(engine: Arc<dyn EngineAccess>, host: Option<Arc<dyn HostHandle>>, trust: Trust) -> Service {
        let (observers, modules) = (Mutex::default(), ModuleRegistry::default());
        Service { shared: Arc::new(ServiceShared { engine, host, trust, observers, modules }) }
    }

    pub(crate) fn modules(&self) -> &ModuleRegistry {
        &self.shared.modules
    }

    /// The users that this daemon treats as its administrator.
    pub fn trust(&self) -> Trust {
        self.shared.trust
    }

    /// True for the engine of one `penfold run`: a client reaches only the cgroups below its own.
    pub(crate) fn confines(&self) -> bool {
        self.shared.trust == Trust::Nobody
    }

    /// The name of the host, such as `trace`. The engine of one `penfold run` has a host name too.
    pub fn host_name(&self) -> &'static str {
        self.shared.engine.name()
    }

    /// The host, which adopts processes and runs commands.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for the engine of one `penfold run`, which does neither.
    pub fn host(&self) -> Result<&dyn HostHandle, Failure> {
        self.shared.host.as_deref().ok_or_else(|| {
            Failure::new(
                ErrorKind::Unsupported,
                Errno::EOPNOTSUPP,
                "the engine of one penfold run",
                "adopts no other processes; use penfold serve for that",
            )
        })
    }

    /// Calls `observer` with every change from now on, on the thread that made the change, until the observer returns
    /// false. An observer must neither wait nor use the service: it runs under the lock of all observers.
    pub fn observe(&self, observer: impl Fn(&Announcement) -> bool + Send + 'static) {
        self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(observer));
    }

    pub(crate) fn announce(&self, origin: Option<ViewId>, change: EngineChange) {
        let mut observers = self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let announced = Announcement { origin, change };
        observers.retain(|observer| observer(&announced));
    }

    /// Runs `look` on the engine, which stays as it is. Counts of tasks may include forks in flight.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the daemon is ending.
    pub fn with_snapshot<R>(&self, look: impl FnOnce(&Engine, &dyn HostView) -> R) -> Result<R, Failure> {
        Ok(self.shared.engine.with_snapshot(look)?)
    }

    /// Runs `work` on the engine after every fork in flight is settled, so that counts are exact. Checks no client's
    /// rights and announces nothing.
    ///
    /// # Errors
    /// As [`Service::with_snapshot`].
    pub fn with_exact<R>(&self, work: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Failure> {
        Ok(self.shared.engine.request_exact(work)?)
    }

    /// Runs a request that changes the engine. Counts of tasks may include forks in flight; see
    /// [`Service::request_exact`].
    pub(crate) fn request<R>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        Ok(self.shared.engine.request(request)??)
    }

    /// Runs a request that depends on exact counts: every fork in flight is settled first.
    pub(crate) fn request_exact<R>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        Ok(self.shared.engine.request_exact(request)??)
    }
}
