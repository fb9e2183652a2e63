//! The only access to the engine, shared by the control socket and the file views.
//!
//! A [`Service`] does every operation as a [`Client`](crate::client::Client) and sends an [`Announcement`] of it to
//! all observers. This file has the requests to the engine, which users make in turn. The operations are in `mounts.rs`, `directories.rs`,
//! `files.rs` and `modules.rs`. Paths, names, task numbers and JSON are left to the front ends.

use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use penfold_core::{
    CgroupId, Engine, ErrorKind, Tid,
    host::{Host, HostView},
};
use penfold_linux::host::{EngineAccess, HostHandle, RunningCommand};
use penfold_linux::trace::{AdoptError, Command, ExecError, ExecOptions};

use crate::change::{Announcement, EngineChange, ViewId};
use crate::client::Trust;
use crate::failure::Failure;
use crate::module_registry::ModuleRegistry;
use crate::turns::{QueueOwner, Turn, Turns};

/// The launches and adoptions of one user that the host may have to deal with at the same time.
const HOST_WORK_OF_USER: usize = 2;

/// The engine and the host of a daemon. Clones share them, and any thread may use one.
#[derive(Clone)]
pub struct Service {
    shared: Arc<ServiceShared>,
    /// The queue in which requests of this clone wait.
    queue: QueueOwner,
}

struct ServiceShared {
    engine: Arc<dyn EngineAccess>,
    /// `None` for the engine of one `penfold run`, which adopts no process.
    host: Option<Arc<dyn HostHandle>>,
    trust: Trust,
    observers: Mutex<Vec<Observer>>,
    modules: ModuleRegistry,
    /// The turns of requests, one at a time.
    requests: Turns,
    /// The turns of long work outside of the engine, such as an answer with very many cgroups. One piece for each user
    /// at a time, and together at most half of the CPUs, so that the tracer always finds one.
    long_work: Turns,
    /// The places of commands that are being launched, and of processes that are being adopted.
    host_work: Turns,
}

/// The host of a daemon, for one user: a few launches and adoptions at a time, the administrator any number. Each keeps
/// the tracer from its tasks for a moment. Some wait for a task, so that one must not hold up the next.
#[derive(Debug, Clone, Copy)]
pub struct HostAccess<'a> {
    host: &'a dyn HostHandle,
    service: &'a Service,
}

impl HostAccess<'_> {
    /// [`HostHandle::launch`] in its turn.
    ///
    /// # Errors
    /// As [`HostHandle::launch`].
    pub fn launch(
        &self,
        command: Command,
        cgroups: Vec<CgroupId>,
        options: ExecOptions,
    ) -> Result<Box<dyn RunningCommand>, ExecError> {
        let _turn = self.turn();
        self.host.launch(command, cgroups, options)
    }

    /// [`HostHandle::adopt`] in its turn.
    ///
    /// # Errors
    /// As [`HostHandle::adopt`].
    pub fn adopt(&self, pid: Tid, started: Option<u64>) -> Result<(), AdoptError> {
        let _turn = self.turn();
        self.host.adopt(pid, started)
    }

    fn turn(&self) -> Option<Turn<'_>> {
        let Service { shared, queue } = self.service;
        let bound = matches!(queue, QueueOwner::User(uid) if *uid != 0 && shared.trust != Trust::Owner(*uid));
        bound.then(|| shared.host_work.enter(*queue))
    }
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
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = ServiceShared {
            engine,
            host,
            trust,
            observers,
            modules,
            requests: Turns::new(1, 1),
            long_work: Turns::new((cpus / 2).max(1), 1),
            host_work: Turns::new(usize::MAX, HOST_WORK_OF_USER),
        };
        Service { shared: Arc::new(shared), queue: QueueOwner::Daemon }
    }

    /// The same service, with requests that wait in the queue of this owner.
    pub(crate) fn queued_as(&self, queue: QueueOwner) -> Service {
        Service { shared: Arc::clone(&self.shared), queue }
    }

    /// Waits for the turn of a request.
    fn turn(&self) -> Turn<'_> {
        self.shared.requests.enter(self.queue)
    }

    /// Waits for the turn of a long piece of work. Let others go first with [`Turn::pass`] every few milliseconds.
    pub(crate) fn long_work(&self) -> Turn<'_> {
        self.shared.long_work.enter(self.queue)
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
    pub fn host(&self) -> Result<HostAccess<'_>, Failure> {
        let host = self.shared.host.as_deref();
        host.map(|host| HostAccess { host, service: self }).ok_or_else(|| {
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
        let _turn = self.turn();
        Ok(self.shared.engine.with_snapshot(look)?)
    }

    /// Runs `work` on the engine after every fork in flight is settled, so that counts are exact. Checks no client's
    /// rights and announces nothing.
    ///
    /// # Errors
    /// As [`Service::with_snapshot`].
    pub fn with_exact<R>(&self, work: impl FnOnce(&mut Engine, &mut dyn Host) -> R) -> Result<R, Failure> {
        let _turn = self.turn();
        Ok(self.shared.engine.request_exact(work)?)
    }

    /// Runs `work` on the engine. Counts of tasks may include forks in flight. Checks no client's rights and announces
    /// nothing.
    ///
    /// # Errors
    /// As [`Service::with_snapshot`].
    pub(crate) fn with_engine<R>(
        &self,
        work: impl FnOnce(&mut Engine, &mut dyn Host) -> R,
    ) -> Result<R, Failure> {
        let _turn = self.turn();
        Ok(self.shared.engine.request(work)?)
    }

    /// Runs a request that changes the engine. Counts of tasks may include forks in flight; see
    /// [`Service::request_exact`].
    pub(crate) fn request<R>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        let _turn = self.turn();
        Ok(self.shared.engine.request(request)??)
    }

    /// Runs a request that depends on exact counts: every fork in flight is settled first.
    pub(crate) fn request_exact<R>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        let _turn = self.turn();
        Ok(self.shared.engine.request_exact(request)??)
    }
}
