//! The host of a daemon: one engine, many jobs that come and go, and processes that ran already.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{CgroupId, CssSetId, Engine, Error, Tid, host::Host};

use super::control::Control;
use super::engine_policy::{EnginePolicy, Statistics};
use super::job_builder::JobBuilder;
use super::readopt::Survivor;
use crate::trace::os::{Command, StartError, TracedCalls, proc};
use crate::trace::tracer::attach_running::{AdoptRequest, AdoptTarget};
use crate::trace::tracer::detach::DetachRequest;
use crate::trace::tracer::{
    AdoptError, AtEnd, DetachError, Gone, Handle, Job, JobEnd, JobOptions, LaunchedJob, Supervisor,
    TraceOptions,
};

/// A tracer thread with an engine, for any thread of a daemon. It uses no CPU while nothing happens.
///
/// It lives until [`TraceHost::stop`]. When the daemon dies instead, adopted processes go on untraced, and launched ones
/// die or lose their forks, see [`ExecOptions::exit_kill`].
#[derive(Debug, Clone)]
pub struct TraceHost {
    handle: Handle<EnginePolicy>,
    job: Arc<Mutex<Option<Job<EnginePolicy>>>>,
}

/// How a command is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecOptions {
    /// What the command leaves behind when it ends goes on in its cgroups. Otherwise it is killed.
    pub leave_running: bool,
    /// It dies with the daemon. Without it, it goes on, but its forks fail with `ENOSYS`: the filter hands them to a
    /// tracer that is no more.
    pub exit_kill: bool,
}

impl Default for ExecOptions {
    /// Nothing outlives the command or the daemon.
    fn default() -> Self {
        Self { leave_running: false, exit_kill: true }
    }
}

/// A task that a host supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisedTask {
    /// Its number in this process's pid namespace.
    pub tid: Tid,
    /// Its process.
    pub group: Tid,
    /// When it was started, in clock ticks since boot: with the number it names a task for ever.
    pub start_time: u64,
    /// It was adopted, or made by one that was; otherwise it was launched here.
    pub adopted: bool,
    /// What its filter stops, if it has one of ours.
    pub filter: Option<TracedCalls>,
    /// Where it is; to be looked up in the engine while nothing else happens to it.
    pub css_set: CssSetId,
}

/// Why a command does not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A cgroup did not take it.
    #[error(transparent)]
    Attach(Error),
    /// The host was stopped.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// A command that runs.
#[derive(Debug)]
pub struct TracedCommand {
    launch: LaunchedJob,
    handle: Handle<EnginePolicy>,
    ended: mpsc::Receiver<JobEnd>,
}

/// The means to send signals to a command, for any thread.
#[derive(Debug, Clone)]
pub struct Killer {
    launch: LaunchedJob,
    handle: Handle<EnginePolicy>,
}

/// What is left of a host that was stopped.
#[derive(Debug)]
pub struct StoppedHost {
    /// What happened.
    pub statistics: Statistics,
    engine: Engine,
    supervisor: Supervisor<EnginePolicy>,
}

impl StoppedHost {
    /// The engine as it was left.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.engine, &mut self.supervisor.tasks)
    }
}

impl TraceHost {
    /// Starts the tracer thread. Makes this process a child subreaper, see [`Job::start`].
    ///
    /// A command is started with the filter that its place needs. Rules that come later reach it as they reach adopted
    /// processes.
    ///
    /// # Errors
    /// [`StartError::System`].
    pub fn start(builder: JobBuilder) -> Result<TraceHost, StartError> {
        let JobBuilder { mut supervisor, policy, .. } = builder;
        supervisor.tasks.common.seal_needs(true);
        let job = Job::idle(supervisor, policy)?;
        Ok(TraceHost { handle: job.handle(), job: Arc::new(Mutex::new(Some(job))) })
    }

    /// A way to the engine.
    pub fn control(&self) -> Control {
        Control::new(self.handle.clone())
    }

    /// Runs a command in these cgroups, each of another hierarchy; in the root of every hierarchy that none is of.
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
    /// What a cgroup can't do to it for want of a filter is refused: see D37 in `docs/differences.md`.
    ///
    /// # Errors
    /// [`AdoptError`]; then nothing has changed.
    pub fn adopt(&self, pid: Tid) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: None, filter: None })
    }

    /// The same for the process that has this number and was started at this time, in clock ticks since boot as field 22
    /// of `/proc/PID/stat` has it: never for another that has the number now.
    ///
    /// # Errors
    /// [`AdoptError`], `NoProcess` (`ESRCH`) for another; then nothing has changed.
    pub fn adopt_started(&self, pid: Tid, start_time: u64) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: Some(start_time), filter: None })
    }

    /// The same for a process that has a filter of an earlier host, as [`TraceHost::tasks`] described it then: launched or
    /// adopted, it was left behind when that host ended or died. What its filter stops has failed with `ENOSYS` since and
    /// works again now; so do its rules when it is put into their cgroups.
    ///
    /// That its filter is one of penfold's can't be seen from outside: the caller has to know. What the process has
    /// started meanwhile has the filter too and is to be adopted apart.
    ///
    /// # Errors
    /// As [`TraceHost::adopt_started`].
    pub fn adopt_filtered(&self, pid: Tid, start_time: u64, filter: TracedCalls) -> Result<(), AdoptError> {
        self.adopt_target(AdoptTarget { pid, started: Some(start_time), filter: Some(filter) })
    }

    /// Adopts a process that an earlier supervisor has left, into the root of every hierarchy, with the filter that it
    /// has since then: while nobody answers for that, what it stops fails with `ENOSYS`.
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
        self.handle.with(|supervisor, _| supervisor.tasks.survivors())
    }

    /// All tasks that are supervised, in any order: what a journal needs to find them again.
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
                    start_time: proc::started(tid)?,
                    adopted: task.lineage.adopted,
                    filter: task.lineage.filter,
                    css_set: task.data.set?,
                })
            });
            described.collect()
        })
    }

    /// Lets an adopted process go, out of all cgroups. Its children stay.
    ///
    /// # Errors
    /// [`DetachError`].
    pub fn detach(&self, pid: Tid) -> Result<(), DetachError> {
        let mut detaching = DetachRequest { tgid: pid, until: None };
        let detached =
            self.handle.poll(move |supervisor, policy| supervisor.detach_process(&mut detaching, policy));
        detached.map_err(|Gone| DetachError::Gone)?
    }

    /// Ends in order. Adopted processes go on untraced, thawed if they were frozen; launched ones as told.
    ///
    /// # Errors
    /// [`Gone`] when it was stopped before.
    ///
    /// # Panics
    /// If the tracer thread has.
    pub fn stop(&self, launched: AtEnd) -> Result<StoppedHost, Gone> {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Gone)?;
        let mut began = None;
        // an error means that the thread has panicked, which waiting for it passes on
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
    /// Returns its status as wait(2) gives it.
    ///
    /// # Errors
    /// [`ExecError::Start`] when the program could not be executed; [`ExecError::Gone`] when the host was stopped.
    pub fn wait(self) -> Result<i32, ExecError> {
        Ok(self.ended.recv().map_err(|_| Gone)??)
    }

    /// Sends a signal to the command.
    ///
    /// # Errors
    /// `ESRCH` when it has ended; what kill(2) gives.
    pub fn kill(&self, signal: c_int) -> Result<(), Errno> {
        self.killer().kill(signal)
    }

    /// The means to do that while another thread waits.
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
