//! The host of a daemon: one engine, many jobs that come and go, and processes that ran already.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use libc::c_int;
use nix::errno::Errno;
use penfold_core::{CgroupId, CssSetId, Engine, Error, Host, Need};

use super::Tid;
use super::adopt::{AdoptError, started};
use super::command::Command;
use super::contained::{Control, Workshop};
use super::filter::Interest;
use super::job::Job;
use super::jobs::{JobEnd, JobOptions, Launch};
use super::kick::{Gone, Handle};
use super::launch::StartError;
use super::leave::{AtEnd, ReleaseError};
use super::placement::{Inner, Placement, Shared, Statistics};
use super::supervise::{Options, Supervisor};

/// A tracer thread with an engine, for any thread of a daemon. It uses no CPU while nothing happens.
///
/// It lives until [`TraceHost::stop`]. When the daemon dies instead, adopted processes go on untraced, and launched ones
/// die or lose their forks, see [`ExecOptions::exit_kill`].
#[derive(Debug, Clone)]
pub struct TraceHost {
    handle: Handle<Placement>,
    shared: Shared,
    job: Arc<Mutex<Option<Job<Placement>>>>,
    /// What every command is launched with.
    options: Options,
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
pub struct Supervised {
    /// Its number in this process's pid namespace.
    pub tid: Tid,
    /// Its process.
    pub group: Tid,
    /// When it was started, in clock ticks since boot: with the number it names a task for ever.
    pub start_time: u64,
    /// It was adopted, or made by one that was; otherwise it was launched here.
    pub adopted: bool,
    /// What its filter stops, if it has one of ours.
    pub filter: Option<Interest>,
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
    #[error("the command can't be placed into its cgroup: {0}")]
    Attach(Error),
    /// The host was stopped.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    launch: Launch,
    handle: Handle<Placement>,
    ended: mpsc::Receiver<JobEnd>,
}

/// The means to send signals to a command, for any thread.
#[derive(Debug, Clone)]
pub struct Killer {
    launch: Launch,
    handle: Handle<Placement>,
}

/// What is left of a host that was stopped.
#[derive(Debug)]
pub struct Stopped {
    /// What happened.
    pub statistics: Statistics,
    inner: Inner,
}

impl Stopped {
    /// The engine as it was left.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.inner.engine, &mut self.inner.tasks)
    }
}

impl TraceHost {
    /// Starts the tracer thread. Makes this process a child subreaper, see [`Job::start`].
    ///
    /// All that rules may need is arranged for with every command, since rules can come at any time.
    ///
    /// # Errors
    /// [`StartError::System`].
    pub fn start(mut workshop: Workshop) -> Result<TraceHost, StartError> {
        let tasks = workshop.tasks();
        let sockets = tasks.can_mark();
        tasks.arrange(Need::ForkVeto);
        tasks.arrange(Need::Affinity);
        if sockets {
            tasks.arrange(Need::SocketClass);
        }
        tasks.freeze_arrangement(true, false);
        let options =
            Options { fork_veto: true, affinity: true, sockets, follow_stops: false, exit_kill: true };
        let placement = workshop.into_policy(None);
        let shared = placement.inner.clone();
        let job = Job::idle(placement)?;
        Ok(TraceHost { handle: job.handle(), shared, job: Arc::new(Mutex::new(Some(job))), options })
    }

    pub(super) fn call<R: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Supervisor<Placement>) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        self.handle.call(request)
    }

    /// A way to the engine.
    pub fn control(&self) -> Control {
        Control::new(self.handle.clone(), self.shared.clone())
    }

    /// Runs a command in these cgroups, each of another hierarchy; in the root of every hierarchy that none is of.
    ///
    /// Whoever may run a command where is for the caller to decide. That the program can't be executed is told by
    /// [`Running::wait`].
    ///
    /// # Errors
    /// [`ExecError`]; then nothing runs.
    pub fn exec(
        &self,
        command: Command,
        cgroups: impl IntoIterator<Item = CgroupId>,
        options: ExecOptions,
    ) -> Result<Running, ExecError> {
        let cgroups: Vec<CgroupId> = cgroups.into_iter().collect();
        let (tell, ended) = mpsc::channel();
        let options = JobOptions {
            options: Options { exit_kill: options.exit_kill, ..self.options },
            leave_running: options.leave_running,
            ended: Some(tell),
        };
        let launch = self.handle.call(move |supervisor| {
            supervisor.launch_command(&command, options, |policy, main| {
                policy.place(main, cgroups).map_err(ExecError::Attach)
            })
        })??;
        Ok(Running { launch, handle: self.handle.clone(), ended })
    }

    /// Takes in the process of a task that runs already, into the root of every hierarchy.
    ///
    /// What a cgroup can't do to it for want of a filter is refused: see D37 in `docs/differences.md`.
    ///
    /// # Errors
    /// [`AdoptError`]; then nothing has changed.
    pub fn adopt(&self, pid: Tid) -> Result<(), AdoptError> {
        self.handle.call(move |supervisor| supervisor.adopt(pid)).map_err(|Gone| AdoptError::Gone)?
    }

    /// The same for the process that has this number and was started at this time, in clock ticks since boot as field 22
    /// of `/proc/PID/stat` has it: never for another that has the number now.
    ///
    /// # Errors
    /// [`AdoptError`], `NoProcess` (`ESRCH`) for another; then nothing has changed.
    pub fn adopt_started(&self, pid: Tid, start_time: u64) -> Result<(), AdoptError> {
        let adopted = self.handle.call(move |supervisor| supervisor.adopt_known(pid, Some(start_time), None));
        adopted.map_err(|Gone| AdoptError::Gone)?
    }

    /// The same for a process that has a filter of an earlier host, as [`TraceHost::tasks`] told it then: launched or
    /// adopted, it was left behind when that host ended or died. What its filter stops has failed with `ENOSYS` since and
    /// works again now; so do its rules when it is put into their cgroups.
    ///
    /// That its filter is one of penfold's can't be told from outside: the caller has to know. What the process has
    /// started meanwhile has the filter too and is to be adopted apart.
    ///
    /// # Errors
    /// As [`TraceHost::adopt_started`].
    pub fn adopt_filtered(&self, pid: Tid, start_time: u64, filter: Interest) -> Result<(), AdoptError> {
        let adopted =
            self.handle.call(move |supervisor| supervisor.adopt_known(pid, Some(start_time), Some(filter)));
        adopted.map_err(|Gone| AdoptError::Gone)?
    }

    /// All tasks that are supervised, in any order: what a journal needs to find them again.
    ///
    /// # Errors
    /// [`Gone`] when the host was stopped.
    pub fn tasks(&self) -> Result<Vec<Supervised>, Gone> {
        self.handle.call(|supervisor| {
            let sets = supervisor.policy.css_sets();
            let tasks = supervisor.table.tasks.iter();
            let described = tasks.filter_map(|(&tid, task)| {
                Some(Supervised {
                    tid,
                    group: task.tgid,
                    start_time: started(tid)?,
                    adopted: task.lineage.adopted,
                    filter: task.lineage.filter,
                    css_set: *sets.get(&tid)?,
                })
            });
            described.collect()
        })
    }

    /// Lets an adopted process go, out of all cgroups. Its children stay.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, pid: Tid) -> Result<(), ReleaseError> {
        self.handle.call(move |supervisor| supervisor.release(pid)).map_err(|Gone| ReleaseError::Gone)?
    }

    /// Ends in order. Adopted processes go on untraced, thawed if they were frozen; launched ones as told.
    ///
    /// # Errors
    /// [`Gone`] when it was stopped before.
    ///
    /// # Panics
    /// If the tracer thread has.
    pub fn stop(&self, launched: AtEnd) -> Result<Stopped, Gone> {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Gone)?;
        // an error means that the thread has panicked, which waiting for it passes on
        let _ = self.handle.call(move |supervisor| supervisor.end(launched));
        let (inner, _, statistics) =
            job.wait().policy.end().expect("only a command in the foreground can be refused");
        Ok(Stopped { statistics, inner })
    }
}

impl Running {
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
    /// As [`Running::kill`].
    ///
    /// # Errors
    /// As [`Running::kill`].
    pub fn kill(&self, signal: c_int) -> Result<(), Errno> {
        let job = self.launch.job;
        let killed = self.handle.call(move |supervisor| supervisor.kill_main(job, signal));
        killed.unwrap_or(Err(Errno::ESRCH))
    }
}
