//! A command inside a cgroup of an engine of its own: what `penfold run` is made of.

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

/// Why a command could not be contained.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The cgroup did not take it.
    #[error(transparent)]
    Attach(Error),
}

impl JobBuilder {
    /// A fresh engine. With `best_effort` what the host can't give is noted as a warning instead of refused.
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

    /// Arranges for a need that no rule has yet, so that a rule set while the command runs can have it.
    pub fn reserve(&mut self, need: Capability) {
        self.supervisor.tasks.common.reserve(need);
    }

    /// Takes rules that are set while the command runs also where they need more of the system call filter than the
    /// command is started with: the processes that they concern then get it, as adopted ones do (D37 in
    /// `docs/differences.md`). Until then it costs nothing.
    pub fn allow_later_rules(&mut self) {
        self.later_rules = true;
    }

    /// Calls this, on the tracer thread, for whatever the user should hear about at once.
    pub fn on_notice(&mut self, tell: fn(&Notice)) {
        self.policy.on_notice = Some(tell);
    }

    /// Calls this when cgroups were released or an [`Event`] was recorded ([`Engine::watch`]), with all that there is, on
    /// the thread that caused it: the tracer's, or that of a request. It is to hand them on and return: no task is dealt
    /// with meanwhile, and a request from within would wait for itself.
    pub fn on_change(&mut self, tell: impl Fn(Vec<Release>, Vec<Event>) + Send + 'static) {
        self.policy.on_change = Some(ChangeCallback(Box::new(tell)));
    }

    /// What was asked for and can't be given, where best effort let it pass.
    pub fn warnings(&self) -> &[String] {
        &self.supervisor.tasks.common.warnings
    }

    /// Starts a command inside a cgroup. Only the stops that the rules need are arranged for.
    ///
    /// # Errors
    /// [`StartError`] when ptrace or seccomp can't be used. That the program can't be executed is told by
    /// [`RunningJob::wait`].
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

/// A running command and everything it has started.
#[derive(Debug)]
pub struct RunningJob {
    job: Job<EnginePolicy>,
}

/// How a contained command ended.
#[derive(Debug)]
pub struct FinishedJob {
    /// The command's status as wait(2) gives it.
    pub status: i32,
    /// What happened.
    pub statistics: Statistics,
    /// The limits that refused something.
    pub limits_hit: Vec<LimitHit>,
    engine: Engine,
    supervisor: Supervisor<EnginePolicy>,
}

impl FinishedJob {
    /// CPU time in user mode and in the kernel.
    pub fn times(&self) -> (Duration, Duration) {
        self.statistics.times()
    }

    /// The engine as it was left, with no task in it.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.engine, &mut self.supervisor.tasks)
    }
}

impl RunningJob {
    /// A way to the engine.
    pub fn control(&self) -> Control {
        Control::new(self.job.handle())
    }

    /// The command's process id.
    pub fn main(&self) -> Tid {
        self.job.main()
    }

    /// Waits until the command has ended and everything it left behind is killed.
    ///
    /// # Errors
    /// [`JobError`] when the command never ran.
    pub fn wait(self) -> Result<FinishedJob, JobError> {
        finish(self.job.wait())
    }

    /// The same, passing on signals sent to this process meanwhile. On the thread that made `signals`.
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
