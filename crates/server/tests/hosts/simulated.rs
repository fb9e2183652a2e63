//! The simulated host behind the interface that a daemon knows.
//!
//! A command is a task in a table that does nothing. An adopted process gives its numbers and its owner, and is not
//! traced. The next request after its death removes it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use nix::errno::Errno;
use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Caller, CgroupId, Engine, MoveScope, Tid,
    host::{HostView, TaskFacts},
};
use penfold_linux::doctor::HostFeature;
use penfold_linux::host::{EngineAccess, EngineRequest, HostHandle, OnChange, RunningCommand};
use penfold_linux::proc::{TaskStatus, start_time};
use penfold_linux::trace::{AdoptError, AtEnd, Command, DetachError, ExecError, ExecOptions, Gone, Survivor};

/// The number of the first command: no process has one as high.
const FIRST_COMMAND: i32 = 10_000_000;
const CPUS: usize = 2;

pub fn start(on_change: OnChange) -> Arc<dyn HostHandle> {
    let state = Simulation {
        engine: Engine::new(),
        host: SimulatedHost::new(CPUS),
        next: FIRST_COMMAND,
        commands: HashMap::new(),
    };
    Arc::new(Simulated(Arc::new(SharedSimulation {
        state: Mutex::new(Some(state)),
        on_change: Mutex::new(on_change),
    })))
}

#[derive(Debug)]
struct Simulated(Arc<SharedSimulation>);

struct SharedSimulation {
    /// `None` after the host was stopped.
    state: Mutex<Option<Simulation>>,
    on_change: Mutex<OnChange>,
}

struct Simulation {
    engine: Engine,
    host: SimulatedHost,
    next: i32,
    /// The receivers of the status of each command.
    commands: HashMap<Tid, mpsc::Sender<i32>>,
}

impl std::fmt::Debug for SharedSimulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedSimulation").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedSimulation {
    fn with<R>(&self, work: impl FnOnce(&mut Simulation) -> R) -> Result<R, Gone> {
        let mut guard = lock(&self.state);
        let state = guard.as_mut().ok_or(Gone)?;
        state.forget_the_dead();
        let answer = work(state);
        let releases: Vec<_> = std::iter::from_fn(|| state.engine.take_release()).collect();
        let events: Vec<_> = std::iter::from_fn(|| state.engine.take_event()).collect();
        drop(guard);
        if !releases.is_empty() || !events.is_empty() {
            lock(&self.on_change)(releases, events);
        }
        Ok(answer)
    }
}

impl Simulation {
    fn forget_the_dead(&mut self) {
        for task in self.adopted() {
            if TaskStatus::read(task).is_none_or(|process| process.exiting) {
                self.host.exit(&mut self.engine, task);
            }
        }
    }

    fn adopted(&self) -> Vec<Tid> {
        self.host.tids().into_iter().filter(|task| task.0 < FIRST_COMMAND).collect()
    }

    fn adopt(&mut self, pid: Tid, started: Option<u64>) -> Result<(), AdoptError> {
        let process = TaskStatus::read(pid).ok_or(AdoptError::NoProcess(pid))?;
        let group = process.group;
        if process.kernel_thread {
            return Err(AdoptError::KernelThread(group));
        }
        if group == Tid(std::process::id().cast_signed()) {
            return Err(AdoptError::Itself);
        }
        if self.host.task(group).is_some() || self.host.task(pid).is_some() {
            return Err(AdoptError::Known(group));
        }
        if started.is_some_and(|started| start_time(group) != Some(started)) {
            return Err(AdoptError::NoProcess(group));
        }
        for thread in threads(group.0).map(Tid).filter_map(TaskStatus::read).filter(|thread| !thread.exiting)
        {
            let mut facts = TaskFacts::new(group, thread.uids[0]);
            facts.saved_uid = thread.uids[2];
            self.host.adopt(&mut self.engine, thread.task, facts);
        }
        Ok(())
    }

    /// Ends a command with a status as wait(2) returns it.
    fn end(&mut self, command: Tid, status: i32) -> Result<(), Errno> {
        let ended = self.commands.remove(&command).ok_or(Errno::ESRCH)?;
        self.host.exit(&mut self.engine, command);
        // the send fails if no client waits for the command
        let _ = ended.send(status);
        Ok(())
    }
}

fn threads(group: i32) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(format!("/proc/{group}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

impl EngineAccess for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn with(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone> {
        self.0.with(|state| request(&mut state.engine, &mut state.host))
    }

    fn with_exact(&self, request: &mut EngineRequest<'_>) -> Result<(), Gone> {
        // no fork is ever in flight
        self.with(request)
    }
}

impl HostHandle for Simulated {
    fn adopt(&self, pid: Tid, started: Option<u64>) -> Result<(), AdoptError> {
        self.0.with(|state| state.adopt(pid, started)).map_err(|Gone| AdoptError::Gone)?
    }

    fn readopt(&self, pid: Tid, started: u64, _: u8) -> Result<(), AdoptError> {
        self.adopt(pid, Some(started))
    }

    fn launch(
        &self,
        _: Command,
        cgroups: Vec<CgroupId>,
        _: ExecOptions,
    ) -> Result<Box<dyn RunningCommand>, ExecError> {
        let (ended, status) = mpsc::channel();
        let pid = self.0.with(|state| {
            let pid = Tid(state.next);
            state.next += 1;
            let facts = TaskFacts::new(pid, 0);
            state.host.adopt(&mut state.engine, pid, facts);
            state.commands.insert(pid, ended);
            for cgroup in cgroups {
                let caller = Caller::root(pid);
                if let Err(error) =
                    state.engine.session(&mut state.host, &caller).attach(cgroup, pid, MoveScope::ThreadGroup)
                {
                    let _ = state.end(pid, 0);
                    return Err(ExecError::Attach(error));
                }
            }
            Ok(pid)
        })??;
        Ok(Box::new(SimulatedCommand { host: Arc::clone(&self.0), pid, status }))
    }

    fn detach(&self, pid: Tid) -> Result<(), DetachError> {
        let released = self.0.with(|state| {
            let threads: Vec<Tid> =
                state.adopted().into_iter().filter(|task| state.host.group(*task) == Some(pid)).collect();
            for thread in &threads {
                state.host.exit(&mut state.engine, *thread);
            }
            if threads.is_empty() { Err(DetachError::Unknown(pid)) } else { Ok(()) }
        });
        released.map_err(|Gone| DetachError::Gone)?
    }

    fn features(&self) -> Vec<HostFeature> {
        let (host, how) = (self.name(), "in a table".to_owned());
        vec![HostFeature { host, what: "everything", given: true, how }]
    }

    fn survivors(&self) -> Result<Vec<Survivor>, Gone> {
        self.0.with(|state| {
            let mut processes: BTreeMap<Tid, Vec<Tid>> = BTreeMap::new();
            for task in state.adopted() {
                let group = state.host.group(task).expect("it is in the table");
                processes.entry(group).or_default().push(task);
            }
            let survivor = |(pid, threads): (Tid, _)| {
                Some(Survivor { pid, started: start_time(pid)?, filter: 0, threads })
            };
            processes.into_iter().filter_map(survivor).collect()
        })
    }

    fn stop(&self, _: AtEnd) -> Result<(), Gone> {
        lock(&self.0.state).take().map(drop).ok_or(Gone)
    }
}

#[derive(Debug)]
struct SimulatedCommand {
    host: Arc<SharedSimulation>,
    pid: Tid,
    status: mpsc::Receiver<i32>,
}

impl RunningCommand for SimulatedCommand {
    fn pid(&self) -> Tid {
        self.pid
    }

    fn wait(self: Box<Self>) -> Result<i32, ExecError> {
        self.status.recv().map_err(|_| ExecError::Gone(Gone))
    }

    fn kill(&self, signal: i32) -> Result<(), Errno> {
        self.host.with(|state| state.end(self.pid, signal)).unwrap_or(Err(Errno::ESRCH))
    }
}
