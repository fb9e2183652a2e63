//! A command inside a cgroup of an engine of its own: the job of `penfold run`.

use std::time::Duration;

use penfold_core::{
    CgroupId, Engine, Error, Event, LimitHit, Release, Tid,
    host::{Capability, Host},
};

use super::control::Control;
use super::engine_policy::{ChangeCallback, EnginePolicy, Statistics};
use super::machine::Machine;
use crate::trace::os::{Command, ForwardedSignals, StartError};
use crate::trace::tracer::{Job, JobOutcome, Notice, Supervisor, TraceOptions};

/// An engine with the trace host, before a command runs in it: load subsystems, mount, make cgroups, set files.
#[derive(Debug)]
pub struct JobBuilder {
    pub(crate) supervisor: Supervisor<EnginePolicy>,
    pub(crate) policy: EnginePolicy,
    later_rules: bool,
}

/// The reason why a job's command never ran.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The command could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The cgroup has refused the command.
    #[error(transparent)]
    Attach(Error),
}

impl JobBuilder {
    /// A builder with a fresh engine. With `best_effort` a capability that the host lacks gives a warning instead of an
    /// error.
    pub fn new(best_effort: bool) -> JobBuilder {
        JobBuilder {
            supervisor: Supervisor::new(Machine::new(best_effort)),
            policy: EnginePolicy::new(),
            later_rules: false,
        }
    }

    /// The engine and its host.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.policy.engine, &mut self.supervisor.tasks)
    }

    /// Reserves a capability that no rule needs yet, for a rule that will be set while the command runs.
    pub fn reserve(&mut self, need: Capability) {
        self.supervisor.tasks.common.reserve(need);
    }

    /// Accepts rules that need more of the system call filter than the command is started with, when they are set while
    /// it runs.
    ///
    /// The processes concerned then get that filter, as adopted ones do (L37 in `docs/differences.md`). Until then this
    /// costs nothing.
    pub fn allow_later_rules(&mut self) {
        self.later_rules = true;
    }

    /// Sets a callback for notices that the user should see at once. It runs on the tracer thread.
    pub fn on_notice(&mut self, tell: fn(&Notice)) {
        self.policy.on_notice = Some(tell);
    }

    /// Sets a callback for released cgroups and recorded [`Event`]s ([`Engine::watch`]). It gets all that there are.
    ///
    /// The callback runs on the causing thread: the tracer's, or that of a request. It must hand them on and return,
    /// since no task is dealt with meanwhile. A request from within would wait for itself.
    pub fn on_change(&mut self, tell: impl Fn(Vec<Release>, Vec<Event>) + Send + 'static) {
        self.policy.on_change = Some(ChangeCallback(Box::new(tell)));
    }

    /// The warnings about missing capabilities that best effort has ignored.
    pub fn warnings(&self) -> &[String] {
        &self.supervisor.tasks.common.warnings
    }

    /// Starts a command inside a cgroup. Its filter stops only the calls that the rules need to see.
    ///
    /// # Errors
    /// [`StartError`] when ptrace or seccomp can't be used. [`RunningJob::wait`] reports a program that can't be
    /// executed.
    pub fn start(
        mut self,
        command: Command,
        cgroup: CgroupId,
        options: TraceOptions,
    ) -> Result<RunningJob, StartError> {
        let machine = &mut self.supervisor.tasks.common;
        let options = TraceOptions {
            fork_veto: self.policy.engine.can_refuse_fork() || machine.wants(Capability::ForkVeto),
            affinity: machine.wants(Capability::Affinity),
            sockets: machine.wants(Capability::SocketClass),
            ..options
        };
        machine.seal_needs(self.later_rules);
        self.policy.cgroup = Some(cgroup);
        let job = Job::start_in(self.supervisor, command, options, self.policy)?;
        Ok(RunningJob { job })
    }
}

/// A running command and everything that it has started.
#[derive(Debug)]
pub struct RunningJob {
    job: Job<EnginePolicy>,
}

/// The end of a job.
#[derive(Debug)]
pub struct FinishedJob {
    /// The command's status as wait(2) gives it.
    pub status: i32,
    /// Counts and notices of the job.
    pub statistics: Statistics,
    /// The limits that have refused something.
    pub limits_hit: Vec<LimitHit>,
    engine: Engine,
    supervisor: Supervisor<EnginePolicy>,
}

impl FinishedJob {
    /// The CPU time in user mode and in the kernel.
    pub fn times(&self) -> (Duration, Duration) {
        self.statistics.times()
    }

    /// The engine as it was left, without a task, and its host.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.engine, &mut self.supervisor.tasks)
    }
}

impl RunningJob {
    /// Access to the engine.
    pub fn control(&self) -> Control {
        Control::new(self.job.handle())
    }

    /// The command's process id.
    pub fn main(&self) -> Tid {
        self.job.main()
    }

    /// Waits until the command has ended and everything that it left behind is killed.
    ///
    /// # Errors
    /// [`JobError`] when the command never ran.
    pub fn wait(self) -> Result<FinishedJob, JobError> {
        finish(self.job.wait())
    }

    /// Waits as [`RunningJob::wait`], and forwards signals to this process meanwhile. On the thread that made `signals`
    /// and started the job.
    ///
    /// # Errors
    /// As [`RunningJob::wait`].
    pub fn wait_forwarding(self, signals: &ForwardedSignals) -> Result<FinishedJob, JobError> {
        finish(self.job.wait_forwarding(signals))
    }
}

fn finish(outcome: JobOutcome<EnginePolicy>) -> Result<FinishedJob, JobError> {
    let JobOutcome { status, policy, supervisor } = outcome;
    let (engine, limits_hit, statistics) = policy.end(&supervisor.tasks).map_err(JobError::Attach)?;
    Ok(FinishedJob { status: status?, statistics, limits_hit, engine, supervisor })
}
