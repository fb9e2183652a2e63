//! The host of a daemon: one engine, jobs that come and go, and processes that ran before it.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{CgroupId, CssSetId, Engine, Error, Tid, host::Host};

use super::control::Control;
use super::engine_policy::{EnginePolicy, Statistics};
use super::job_builder::JobBuilder;
use super::readopt::Survivor;
use crate::proc::start_time;
use crate::trace::os::{Command, StartError, TracedCalls};
use crate::trace::tracer::attach_running::{AdoptRequest, AdoptTarget};
use crate::trace::tracer::detach::DetachRequest;
use crate::trace::tracer::{
    AdoptError, AtEnd, DetachError, Gone, Handle, Job, JobEnd, JobOptions, LaunchedJob, Supervisor,
    TraceOptions,
};

/// How many start times are read from `/proc` in one request, during which no task is dealt with.
const READS_AT_ONCE: usize = 64;

/// A tracer thread with an engine, for any thread of a daemon. It uses no CPU while nothing happens.
///
/// It lives until [`TraceHost::stop`]. When the daemon dies instead, adopted processes go on untraced. For launched
/// ones see [`ExecOptions::exit_kill`].
#[derive(Debug, Clone)]
pub struct TraceHost {
    handle: Handle<EnginePolicy>,
    job: Arc<Mutex<Option<Job<EnginePolicy>>>>,
}

/// The fate of a command's processes after the command and after the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecOptions {
    /// Whether processes that the command leaves behind at its end go on in their cgroups. Otherwise they are killed.
    pub leave_running: bool,
    /// Whether the command dies with the daemon. Otherwise it goes on, but its forks fail with `ENOSYS`: the filter
    /// hands them to a tracer that no longer exists.
    pub exit_kill: bool,
}

impl Default for ExecOptions {
    /// No process outlives the command or the daemon.
    fn default() -> Self {
        Self { leave_running: false, exit_kill: true }
    }
}

/// A supervised task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisedTask {
    /// The number of the task in this process's pid namespace.
    pub tid: Tid,
    /// The task's process.
    pub group: Tid,
    /// The start time in clock ticks since boot. Together with the number it names a task for ever.
    pub start_time: u64,
    /// Whether it was adopted or descends from an adopted task. Otherwise it was launched by this host.
    pub adopted: bool,
    /// The calls that its filter of this crate stops; `None` without such a filter.
    pub filter: Option<TracedCalls>,
    /// The css_set of the task. Valid in the engine until the next request or event.
    pub css_set: CssSetId,
}

/// The reason why a command does not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The command could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A cgroup has refused the command.
    #[error(transparent)]
    Attach(Error),
    /// The host was stopped.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// A running command.
#[derive(Debug)]
pub struct TracedCommand {
    launch: LaunchedJob,
    handle: Handle<EnginePolicy>,
    ended: mpsc::Receiver<JobEnd>,
}

/// Sends signals to a command, on any thread.
#[derive(Debug, Clone)]
pub struct Killer {
    launch: LaunchedJob,
    handle: Handle<EnginePolicy>,
}

/// The rest of a host that was stopped.
#[derive(Debug)]
pub struct StoppedHost {
    /// The counts and notices of the host's life.
    pub statistics: Statistics,
    engine: Engine,
    supervisor: Supervisor<EnginePolicy>,
}

impl StoppedHost {
    /// The engine as it was left, and its host.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.engine, &mut self.supervisor.tasks)
    }
}

impl TraceHost {
    /// Starts the tracer thread. Makes this process a child subreaper, see [`Job::start`].
    ///
    /// A command starts with the filter that the rules of its cgroups need. Later rules reach it as they reach adopted
    /// processes.
    ///
    /// # Errors
    /// [`StartError::System`].
    pub fn start(builder: JobBuilder) -> Result<TraceHost, StartError> {
        let JobBuilder { mut supervisor, policy, .. } = builder;
        supervisor.tasks.common.seal_needs(true);
        supervisor.tasks.common.lists_all_tasks = true;
        let job = Job::idle(supervisor, policy)?;
        Ok(TraceHost { handle: job.handle(), job: Arc::new(Mutex::new(Some(job))) })
    }

    /// Access to the engine.
    pub fn control(&self) -> Control {
        Control::new(self.handle.clone())
    }

    /// Runs a command in these cgroups, each of another hierarchy, and in the root of every other hierarchy.
    ///
    /// Authorization is the caller's responsibility. [`TracedCommand::wait`] reports a program that can't be executed.
    ///
    /// # Errors
    /// [`ExecError`]; then nothing runs.
    pub fn exec(
        &self,
        command: Command,
        cgroups: impl IntoIterator<Item = CgroupId>,
        options: ExecOptions,
    ) -> Result<TracedCommand, ExecError> {
        let cgroups: Vec<CgroupId> = cgroups.into_iter().collect();
        let (tell, ended) = mpsc::channel();
        let options = JobOptions {
            options: TraceOptions { exit_kill: options.exit_kill, ..TraceOptions::default() },
            leave_running: options.leave_running,
            ended: Some(tell),
        };
        let mut request = Some((command, cgroups, options));
        let mut launching = None;
        let launch = self.handle.poll(move |supervisor, policy| {
            if let Some((command, cgroups, options)) = request.take() {
                let placed = supervisor.launch(&command, options, policy, |policy, tasks, main| {
                    policy.place(tasks, main, cgroups)
                });
                match placed {
                    Ok(placed) => launching = Some(placed),
                    Err(error) => return Some(Err(ExecError::Start(error))),
                }
            }
            let placed = supervisor.launched(launching.as_mut()?)?;
            Some(placed.map_err(ExecError::Attach))
        })??;
        Ok(TracedCommand { launch, handle: self.handle.clone(), ended })
    }

    fn adopt_target(&self, target: AdoptTarget) -> Result<(), AdoptError> {
        let mut adopting = AdoptRequest::Asked(target);
        let adopted = self.handle.poll(move |supervisor, policy| supervisor.adopt(&mut adopting, policy));
        adopted.map_err(|Gone| AdoptError::Gone)?
    }

    /// Adopts the process of a task that runs already, into the root of every hierarchy.
    ///
    /// A rule of a cgroup that would need a filter which the process can't get is refused: see L37 in
    /// `docs/differences.md`.
    ///
    /// # Errors
    /// [`AdoptError`]; then nothing has changed.
    pub fn adopt(&self, pid: Tid) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: None, filter: None })
    }

    /// Adopts the process with this number and this start time, in clock ticks since boot as in field 22 of
    /// `/proc/PID/stat`. Never adopts another process that has the number now.
    ///
    /// # Errors
    /// [`AdoptError`], `NoProcess` (`ESRCH`) for another process; then nothing has changed.
    pub fn adopt_started(&self, pid: Tid, start_time: u64) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: Some(start_time), filter: None })
    }

    /// Adopts a process that has a filter of an earlier host, with the filter that [`TraceHost::tasks`] showed then.
    /// Launched or adopted, it was left behind when that host ended or died.
    ///
    /// The calls that the filter stops have failed with `ENOSYS` since, and work again now. So do the rules of the
    /// cgroups that it is put into.
    ///
    /// The filter can't be recognized from outside, so the caller has to know that it is one of penfold's. Children
    /// that the process has started meanwhile have the filter too and are to be adopted by themselves.
    ///
    /// # Errors
    /// As [`TraceHost::adopt_started`].
    pub fn adopt_filtered(&self, pid: Tid, start_time: u64, filter: TracedCalls) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: Some(start_time), filter: Some(filter) })
    }

    /// Adopts a process that an earlier host has left behind, into the root of every hierarchy. `filter` is that of its
    /// [`Survivor`]. Until then the calls that the filter stops fail with `ENOSYS`.
    ///
    /// # Errors
    /// [`AdoptError`]; `NoProcess` if the number is another process's now.
    pub fn readopt(&self, pid: Tid, started: u64, filter: u8) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: Some(started), filter: TracedCalls::of_bits(filter) })
    }

    /// The processes that would outlive this one, ascending.
    ///
    /// # Errors
    /// [`Gone`] when the host was stopped.
    pub fn survivors(&self) -> Result<Vec<Survivor>, Gone> {
        let mut survivors = self.handle.with(|supervisor, _| supervisor.tasks.survivors())?;
        // reading /proc takes long, so that others get their turn in between
        for chunk in survivors.chunks_mut(READS_AT_ONCE) {
            self.handle.with(|supervisor, _| {
                for survivor in chunk {
                    if !supervisor.tasks.add_start_time(survivor) {
                        survivor.threads.clear();
                    }
                }
            })?;
        }
        survivors.retain(|survivor| !survivor.threads.is_empty());
        Ok(survivors)
    }

    /// All supervised tasks, in any order. A journal needs them to find these tasks again.
    ///
    /// # Errors
    /// [`Gone`] when the host was stopped.
    pub fn tasks(&self) -> Result<Vec<SupervisedTask>, Gone> {
        self.handle.with(|supervisor, _| {
            let tasks = supervisor.tasks.entries.iter();
            let described = tasks.filter_map(|(&tid, task)| {
                Some(SupervisedTask {
                    tid,
                    group: task.tgid,
                    start_time: start_time(tid)?,
                    adopted: task.lineage.adopted,
                    filter: task.lineage.filter,
                    css_set: task.data.set?,
                })
            });
            described.collect()
        })
    }

    /// Ends the supervision of an adopted process, which goes on outside of all cgroups. Its children stay supervised.
    ///
    /// # Errors
    /// [`DetachError`].
    pub fn detach(&self, pid: Tid) -> Result<(), DetachError> {
        let mut detaching = DetachRequest { tgid: pid, until: None };
        let detached =
            self.handle.poll(move |supervisor, policy| supervisor.detach_process(&mut detaching, policy));
        detached.map_err(|Gone| DetachError::Gone)?
    }

    /// Ends in order. Adopted processes go on untraced, thawed if they were frozen. `launched` says what becomes of
    /// launched ones.
    ///
    /// # Errors
    /// [`Gone`] when it was stopped before.
    ///
    /// # Panics
    /// If the tracer thread has panicked.
    pub fn stop(&self, launched: AtEnd) -> Result<StoppedHost, Gone> {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Gone)?;
        let mut began = None;
        // an error means that the thread has panicked, which `wait` passes on
        let _ = self.handle.poll(move |supervisor, policy| {
            let began = *began.get_or_insert_with(|| {
                supervisor.end(launched, policy);
                Instant::now()
            });
            supervisor.has_ended(began).then_some(())
        });
        let outcome = job.wait();
        let (engine, _, statistics) = outcome
            .policy
            .end(&outcome.supervisor.tasks)
            .expect("only a command in the foreground can be refused");
        Ok(StoppedHost { statistics, engine, supervisor: outcome.supervisor })
    }
}

impl TracedCommand {
    /// The command's process id.
    pub fn pid(&self) -> Tid {
        self.launch.main
    }

    /// Waits until the command has ended and, unless it is left running, everything that it left behind has died.
    /// Returns the status as wait(2) gives it.
    ///
    /// # Errors
    /// [`ExecError::Start`] when the program could not be executed, [`ExecError::Gone`] when the host was stopped.
    pub fn wait(self) -> Result<i32, ExecError> {
        Ok(self.ended.recv().map_err(|_| Gone)??)
    }

    /// Sends a signal to the command.
    ///
    /// # Errors
    /// `ESRCH` when it has ended; otherwise those of kill(2).
    pub fn kill(&self, signal: c_int) -> Result<(), Errno> {
        self.killer().kill(signal)
    }

    /// A sender of signals, for use while another thread waits for the command.
    pub fn killer(&self) -> Killer {
        Killer { launch: self.launch, handle: self.handle.clone() }
    }
}

impl Killer {
    /// As [`TracedCommand::kill`].
    ///
    /// # Errors
    /// As [`TracedCommand::kill`].
    pub fn kill(&self, signal: c_int) -> Result<(), Errno> {
        let job = self.launch.job;
        let killed = self.handle.with(|supervisor, _| supervisor.kill_main(job, signal));
        killed.unwrap_or(Err(Errno::ESRCH))
    }
}
