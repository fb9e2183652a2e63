//! The one door to the engine: what the control socket and the file views share.
//!
//! Every operation is done as a [`Client`](crate::client::Client) and announced as an [`Announcement`] to all observers.
//! Here are the ways to the engine. What can be done with it is in `mounts.rs`, `directories.rs`, `files.rs` and
//! `modules.rs`. Paths, names, task numbers and JSON are the front ends' business.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

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

/// The engine and the host of a daemon, for any thread.
#[derive(Clone)]
pub struct Service {
    shared: Arc<ServiceShared>,
}

struct ServiceShared {
    engine: Arc<dyn EngineAccess>,
    /// `None` in the engine of one `penfold run`, which adopts no process.
    host: Option<Arc<dyn HostHandle>>,
    trust: Trust,
    observers: Mutex<Vec<Observer>>,
    modules: ModuleRegistry,
}

/// Takes every change, until it returns false.
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

    /// The service of one `penfold run`: for the tasks of the job only, and no process is adopted.
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

    /// Whom this daemon takes for its administrator.
    pub fn trust(&self) -> Trust {
        self.shared.trust
    }

    /// True in the engine of one `penfold run`: a client reaches only what is below its own cgroup.
    pub(crate) fn confines(&self) -> bool {
        self.shared.trust == Trust::Nobody
    }

    /// The name of the host, which the engine of one `penfold run` has too.
    pub fn host_name(&self) -> &'static str {
        self.shared.engine.name()
    }

    /// The host, where there is one that runs commands.
    ///
    /// # Errors
    /// `EOPNOTSUPP` in the engine of one `penfold run`.
    pub fn host(&self) -> Result<&dyn HostHandle, Failure> {
        self.shared.host.as_deref().ok_or_else(|| {
            Failure::new(
                ErrorKind::Unsupported,
                Errno::EOPNOTSUPP,
                "the engine of one penfold run",
                "takes in no other processes; use a penfold serve for that",
            )
        })
    }

    /// Every change from now on. The receiver must keep up: the channel is not bounded.
    pub fn subscribe(&self) -> mpsc::Receiver<Announcement> {
        let (sender, receiver) = mpsc::channel();
        self.observe(move |announced| sender.send(announced.clone()).is_ok());
        receiver
    }

    /// Calls `observer` with every change from now on, on the thread that made it, until it returns false. It must
    /// neither wait nor use the service.
    pub fn observe(&self, observer: impl Fn(&Announcement) -> bool + Send + 'static) {
        self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(observer));
    }

    pub(crate) fn announce(&self, origin: Option<ViewId>, change: EngineChange) {
        let mut observers = self.shared.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let announced = Announcement { origin, change };
        observers.retain(|observer| observer(&announced));
    }

    /// Looks at the engine. The counts of tasks can be ahead of forks in flight.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the daemon is ending.
    pub fn with_snapshot<R>(&self, look: impl FnOnce(&Engine, &dyn HostView) -> R) -> Result<R, Failure> {
        Ok(self.shared.engine.with_snapshot(look)?)
    }

    /// Works on the engine with every fork settled, as nobody in particular, and announces nothing.
    ///
    /// # Errors
    /// As [`Service::with_snapshot`].
    pub fn with_exact<R>(&self, work: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Failure> {
        Ok(self.shared.engine.request_exact(work)?)
    }

    /// Changes something. The counts of tasks can be ahead of forks in flight, see [`Service::request_exact`].
    pub(crate) fn request<R>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        Ok(self.shared.engine.request(request)??)
    }

    /// Changes or reads something that depends on exact counts: every fork is settled before.
    pub(crate) fn request_exact<R>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        Ok(self.shared.engine.request_exact(request)??)
    }
}
