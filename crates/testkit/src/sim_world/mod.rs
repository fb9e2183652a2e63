//! An engine, a host, and the caller of every operation, with a short method for each.

mod calls;
mod observations;
mod operations;
mod tasks;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Error, Tid, host::Host, subsystem::Subsystem};

/// An engine with a host, by default one without processes, and the caller of every operation.
///
/// A method such as [`SimWorld::mkdir`] panics with the engine's message when the engine refuses. For each there is a
/// method such as [`SimWorld::try_mkdir`], which returns the errno instead; [`SimWorld::last_error`] has the message. All
/// stand for the system calls of one caller: the super-user, unless [`SimWorld::as_caller`] changes that.
///
/// A test adds the operations that only it needs as a trait, or as a type around this one.
#[derive(Debug)]
pub struct SimWorld<H = SimulatedHost> {
    /// The engine.
    pub engine: Engine,
    /// The host of its tasks.
    pub host: H,
    /// The caller of every operation.
    pub caller: Caller,
    /// The root at which [`SimWorld::mount_controller`] has mounted; until then no cgroup at all.
    pub top: CgroupId,
    /// The name of that controller, whose files go by their names without the prefix.
    controller: String,
    last_error: Option<Error>,
}

impl SimWorld {
    /// A host with two CPUs, and nothing loaded.
    pub fn new() -> SimWorld {
        SimWorld::with_cpus(2)
    }

    /// A host with that many CPUs.
    pub fn with_cpus(cpus: usize) -> SimWorld {
        SimWorld::with_host(SimulatedHost::new(cpus))
    }

    /// A host with two CPUs and one controller, mounted alone at [`SimWorld::top`].
    #[track_caller]
    pub fn with_controller(controller: impl Subsystem) -> SimWorld {
        let mut world = SimWorld::new();
        let options = controller.name().to_owned();
        world.mount_controller(controller, &options);
        world
    }
}

impl Default for SimWorld {
    fn default() -> SimWorld {
        SimWorld::new()
    }
}

impl<H: Host> SimWorld<H> {
    /// A world with a host that is made already, and nothing loaded.
    pub fn with_host(host: H) -> SimWorld<H> {
        SimWorld {
            engine: Engine::new(),
            host,
            caller: Caller::root(Tid(1)),
            top: CgroupId::default(),
            controller: String::new(),
            last_error: None,
        }
    }

    /// Loads a controller and mounts a hierarchy with these options at [`SimWorld::top`].
    ///
    /// From now on its files go by their names without the prefix: `max` is `pids.max` in a world of `pids`.
    #[track_caller]
    pub fn mount_controller(&mut self, controller: impl Subsystem, options: &str) {
        controller.name().clone_into(&mut self.controller);
        self.load(controller);
        self.top = self.mount(options);
    }

    /// Runs `work` with another caller.
    pub fn as_caller<R>(&mut self, caller: &Caller, work: impl FnOnce(&mut SimWorld<H>) -> R) -> R {
        let usual = std::mem::replace(&mut self.caller, caller.clone());
        let outcome = work(self);
        self.caller = usual;
        outcome
    }

    /// The error of the last operation that was refused.
    #[track_caller]
    pub fn last_error(&self) -> &Error {
        self.last_error.as_ref().expect("an operation was refused")
    }
}
