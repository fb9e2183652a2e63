//! A command inside a cgroup of an engine of its own: what `penfold run` is made of.

use std::time::Duration;

use penfold_core::{CgroupId, Engine, Error, Event, Host, LimitHit, Need, Release};

use super::command::Command;
use super::job::{Job, Outcome};
use super::kick::{Gone, Handle};
use super::launch::StartError;
use super::placement::{Inner, OnChange, Placement, Shared, Statistics};
use super::quick::{self, Quick};
use super::signals::Signals;
use super::supervise::{Options, Supervisor};
use super::tasks::Tasks;
use super::view::with_engine;
use super::{Notice, Tid};

/// An engine with the trace host, before a command runs in it: load subsystems, mount, make cgroups, set files.
#[derive(Debug)]
pub struct Workshop {
    inner: Inner,
    on_notice: Option<fn(&Notice)>,
    on_change: Option<OnChange>,
    later_rules: bool,
}

/// Why a command could not be contained.
#[derive(Debug, thiserror::Error)]
pub enum ContainError {
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The cgroup did not take it.
    #[error("the command can't be placed into its cgroup: {0}")]
    Attach(Error),
}

impl Workshop {
    /// A fresh engine. With `best_effort` what the host can't give is noted as a warning instead of refused.
    pub fn new(best_effort: bool) -> Workshop {
        Workshop {
            inner: Inner { engine: Engine::new(), tasks: Tasks::new(best_effort) },
            on_notice: None,
            on_change: None,
            later_rules: false,
        }
    }

    /// The engine and its host.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.inner.engine, &mut self.inner.tasks)
    }

    /// Arranges for a need that no rule has yet, so that a rule set while the command runs can have it.
    pub fn arrange(&mut self, need: Need) {
        self.inner.tasks.arrange(need);
    }

    /// Takes rules that are set while the command runs also where they need more of the system call filter than the
    /// command is started with: the processes that they concern then get it, as adopted ones do (D37 in
    /// `docs/differences.md`). Until then it costs nothing.
    pub fn allow_later_rules(&mut self) {
        self.later_rules = true;
    }

    /// Calls this, on the tracer thread, for whatever the user should hear about at once.
    pub fn on_notice(&mut self, tell: fn(&Notice)) {
        self.on_notice = Some(tell);
    }

    /// Calls this, on the tracer thread, when cgroups were released or an [`Event`] was recorded ([`Engine::watch`]),
    /// soon after and with all that there is: also what [`Control::with`] and [`Control::quick`] have caused. It is to
    /// hand them on and return: no task is dealt with meanwhile, and a request from within would wait for itself.
    pub fn on_change(&mut self, tell: impl Fn(Vec<Release>, Vec<Event>) + Send + 'static) {
        self.on_change = Some(OnChange(Box::new(tell)));
    }

    /// What was asked for and can't be given, where best effort let it pass.
    pub fn warnings(&self) -> &[String] {
        &self.inner.tasks.warnings
    }

    /// The policy of a job with this engine; `cgroup` is for a command in the foreground.
    pub(super) fn into_policy(self, cgroup: Option<CgroupId>) -> Placement {
        Placement::new(self.inner, cgroup, self.on_notice, self.on_change)
    }

    pub(super) fn tasks(&mut self) -> &mut Tasks {
        &mut self.inner.tasks
    }

    /// Starts a command inside a cgroup. Only the stops that the rules need are arranged for.
    ///
    /// # Errors
    /// [`StartError`] when ptrace or seccomp can't be used. That the program can't be executed is told by
    /// [`Contained::wait`].
    pub fn start(
        mut self,
        command: Command,
        cgroup: CgroupId,
        options: Options,
    ) -> Result<Contained, StartError> {
        let options = Options {
            fork_veto: self.inner.engine.can_refuse_fork() || self.inner.tasks.wants(Need::ForkVeto),
            affinity: self.inner.tasks.wants(Need::Affinity),
            sockets: self.inner.tasks.wants(Need::SocketClass),
            ..options
        };
        self.inner.tasks.freeze_arrangement(options.fork_veto, self.later_rules);
        let placement = self.into_policy(Some(cgroup));
        let shared = placement.inner.clone();
        Ok(Contained { job: Job::start(command, options, placement)?, shared })
    }
}

/// A running command and everything it has started.
#[derive(Debug)]
pub struct Contained {
    job: Job<Placement>,
    shared: Shared,
}

/// A way to a running job's engine, for any thread.
#[derive(Debug, Clone)]
pub struct Control {
    handle: Handle<Placement>,
    shared: Shared,
}

impl Control {
    pub(super) fn new(handle: Handle<Placement>, shared: Shared) -> Self {
        Self { handle, shared }
    }

    /// Works on directories, generic files and mounts on the calling thread, without a switch to the tracer thread. What
    /// can be done is what [`Quick`] has; the rest goes through [`Control::with`].
    ///
    /// The tracer thread deals with no stop meanwhile, so it is to be short. Forks in flight are not settled: a cgroup can
    /// seem to have one task more. What a subsystem asks of the host that takes the tracer (to freeze, to bind to CPUs)
    /// is done by it before this returns. Not to be called from within another request or a callback of the host: it
    /// would wait for itself.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended.
    pub fn quick<R>(&self, request: impl FnOnce(&mut Quick<'_>, &mut dyn Host) -> R) -> Result<R, Gone> {
        let mut inner = self.shared.lock();
        let Inner { engine, tasks } = inner.as_mut().ok_or(Gone)?;
        let (result, later) = quick::run(engine, tasks, request);
        let news = engine.has_news();
        drop(inner);
        if !later.is_empty() {
            self.with(move |_, host| later.into_iter().for_each(|later| later.apply(host)))?;
        } else if news {
            // it is the tracer thread that tells
            self.handle.call(|_| ())?;
        }
        Ok(result)
    }

    /// Works on the engine between two stops of the job, with exact counters.
    ///
    /// # Errors
    /// [`Gone`] when the job has ended.
    pub fn with<R: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        self.handle.call(move |supervisor: &mut Supervisor<Placement>| with_engine(supervisor, request))
    }
}

/// How a contained command ended.
#[derive(Debug)]
pub struct Ended {
    /// The command's status as wait(2) gives it.
    pub status: i32,
    /// What happened.
    pub statistics: Statistics,
    /// The limits that refused something.
    pub limits_hit: Vec<LimitHit>,
    inner: Inner,
}

impl Ended {
    /// CPU time in user mode and in the kernel.
    pub fn times(&self) -> (Duration, Duration) {
        self.statistics.times()
    }

    /// The engine as it was left, with no task in it.
    pub fn parts(&mut self) -> (&mut Engine, &mut dyn Host) {
        (&mut self.inner.engine, &mut self.inner.tasks)
    }
}

impl Contained {
    /// A way to the engine.
    pub fn control(&self) -> Control {
        Control::new(self.job.handle(), self.shared.clone())
    }

    /// The command's process id.
    pub fn main(&self) -> Tid {
        self.job.main()
    }

    /// Waits until the command has ended and everything it left behind is killed.
    ///
    /// # Errors
    /// [`ContainError`] when the command never ran.
    pub fn wait(self) -> Result<Ended, ContainError> {
        finish(self.job.wait())
    }

    /// The same, passing on signals sent to this process meanwhile. On the thread that made `signals`.
    ///
    /// # Errors
    /// As [`Contained::wait`].
    pub fn wait_forwarding(self, signals: &Signals) -> Result<Ended, ContainError> {
        finish(self.job.wait_forwarding(signals))
    }
}

fn finish(outcome: Outcome<Placement>) -> Result<Ended, ContainError> {
    let Outcome { status, policy } = outcome;
    let (inner, limits_hit, statistics) = policy.end().map_err(ContainError::Attach)?;
    Ok(Ended { status: status?, statistics, limits_hit, inner })
}
