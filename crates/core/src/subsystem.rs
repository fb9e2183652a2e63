//! Subsystems, the resource controllers: the trait that each implements, and the context of its callbacks.
//!
//! The author of a controller implements [`Subsystem`], and [`Engine::load`](crate::Engine::load) adds it to an engine.
//! Core calls it when cgroups come and go, when tasks move, fork and exit, and for its control files. A callback
//! reaches states, the tree, counters and the host through its [`Context`]. Begin with [`Subsystem::RULES`] and
//! [`Subsystem::FILES`]: a controller that only limits or counts is these two tables, as on the front page of the
//! [crate]. One with a state and a callback:
//!
//! ```
//! use penfold_core::control_file::ControlFile;
//! use penfold_core::subsystem::{Callbacks, Context, Migration, Subsystem};
//! use penfold_core::{Caller, Engine, Errno, Error, MoveScope, Result, simulated::SimulatedHost};
//!
//! /// Lets no task move into a cgroup whose `admission.closed` is not 0.
//! struct Admission;
//!
//! type Ctx<'a> = Context<'a, Admission>;
//!
//! impl Subsystem for Admission {
//!     type State = u64;
//!     const NAME: &'static str = "admission";
//!     const CALLBACKS: Callbacks = Callbacks::CAN_ATTACH;
//!     const FILES: &'static [ControlFile<Self>] =
//!         &[ControlFile::new("closed").read_u64(|_, ctx| Ok(*ctx.state())).write_u64(set_closed)];
//!
//!     // a child begins with the value of its parent
//!     fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<u64> {
//!         Ok(ctx.parent().map_or(0, |parent| *ctx.state_of(parent)))
//!     }
//!
//!     fn destroy(&mut self, _: &mut Ctx<'_>) {}
//!
//!     fn can_attach(&mut self, ctx: &mut Ctx<'_>, _: &[Migration]) -> Result<()> {
//!         if *ctx.state() == 0 { Ok(()) } else { Err(Error::value(Errno::EBUSY, "the cgroup is closed")) }
//!     }
//! }
//!
//! fn set_closed(_: &mut Admission, ctx: &mut Ctx<'_>, closed: u64) -> Result<()> {
//!     *ctx.state_mut() = closed;
//!     Ok(())
//! }
//!
//! let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(1));
//! engine.load(&mut host, Admission)?;
//! let task = host.spawn(&mut engine, 0);
//! let root = Caller::root(task);
//! let mut session = engine.session(&mut host, &root);
//! let top = session.mount("admission")?.root;
//! let job = session.mkdir(top, b"job", 0o755)?;
//! session.write_file(job, "admission.closed", "1")?;
//! let refused = session.attach(job, task, MoveScope::Task).unwrap_err();
//! assert_eq!(refused.errno(), Errno::EBUSY);
//! # Ok::<(), penfold_core::Error>(())
//! ```

use alloc::borrow::Cow;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::control_file::ControlFile;
use crate::error::Result;
use crate::task::Tid;

pub use crate::context::Context;
pub use crate::counter::{Counter, CpuTime, CpuUsage, Resource, Rule, UNLIMITED};
pub use crate::ids::Css;
pub use crate::services::{EngineView, Services};

bitflags! {
    /// The optional callbacks that a subsystem implements, for [`Subsystem::CALLBACKS`].
    ///
    /// A callback that is left out is never called and costs nothing. From these flags core makes the
    /// [`EventMask`](crate::host::EventMask) that a host reads before it arranges for an event.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Callbacks: u32 {
        /// Implements [`Subsystem::pre_destroy`].
        const PRE_DESTROY = 1;
        /// Implements [`Subsystem::can_attach`] and [`Subsystem::cancel_attach`].
        const CAN_ATTACH = 1 << 1;
        /// Implements [`Subsystem::attach`].
        const ATTACH = 1 << 2;
        /// Implements [`Subsystem::can_fork`] and [`Subsystem::cancel_fork`].
        const CAN_FORK = 1 << 3;
        /// Implements [`Subsystem::fork`] and [`Subsystem::replay_tasks`].
        const FORK = 1 << 4;
        /// Implements [`Subsystem::exit`].
        const EXIT = 1 << 5;
        /// Implements [`Subsystem::post_clone`].
        const POST_CLONE = 1 << 6;
        /// Implements [`Subsystem::bind`].
        const BIND = 1 << 7;
    }
}

/// One task that an attach moves from one css to another, or that has its first place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The task that moves.
    pub task: Tid,
    /// The css that the task leaves; `to` for a first place.
    pub from: Css,
    /// The css that the task enters.
    pub to: Css,
}

impl Migration {
    /// True if the task was in no cgroup before, so that no subsystem has acted on it yet.
    pub fn is_first_place(&self) -> bool {
        self.from == self.to
    }
}

/// A resource controller. [`create`](Subsystem::create) and [`destroy`](Subsystem::destroy) are mandatory, everything
/// else has a default (D2).
///
/// A callback gets the subsystem itself, with the state that all cgroups share, and a [`Context`]. The context has the
/// state of each cgroup, the tree, the counters and the host. A callback that fails must leave all state as it was.
pub trait Subsystem: Sized + Send + 'static {
    /// The subsystem's state in one cgroup, from [`Subsystem::create`] to [`Subsystem::destroy`].
    type State: Send + 'static;

    /// The name: 1 to 32 letters, digits, `_` and `-`, and no word of mount options.
    ///
    /// The name is unique among loaded subsystems. With a dot it is the prefix of the control files, as in `pids.max`.
    const NAME: &'static str;

    /// The optional callbacks that are implemented. A callback that is not declared here is never called.
    const CALLBACKS: Callbacks = Callbacks::empty();

    /// The charge rules. Each rule gives every css one [`Counter`], a rule on [`Resource::CpuTime`] a [`CpuUsage`] too.
    ///
    /// Methods such as [`Context::counter`] name a rule by its place in this table, from 0.
    const RULES: &'static [Rule] = &[];

    /// The control file that makes [`Subsystem::can_fork`] refuse, without prefix; empty for none.
    ///
    /// An [`Event::LimitHit`](crate::Event::LimitHit) for a refusal names this file, or the subsystem if it is empty.
    const REFUSAL_FILE: &'static str = "";

    /// The control files, with names that differ from each other and from the generic files.
    const FILES: &'static [ControlFile<Self>] = &[];

    /// The name of this value: [`Subsystem::NAME`] by default.
    ///
    /// A type that stands for many subsystems, such as loaded modules, overrides this and the four methods below. Core
    /// calls each of the five once, at load.
    fn name(&self) -> &str {
        Self::NAME
    }

    /// The optional callbacks of this value: [`Subsystem::CALLBACKS`] by default.
    fn callbacks(&self) -> Callbacks {
        Self::CALLBACKS
    }

    /// The charge rules of this value: [`Subsystem::RULES`] by default.
    fn rules(&self) -> Vec<Rule> {
        Self::RULES.to_vec()
    }

    /// The control file that makes this value's `can_fork` refuse: [`Subsystem::REFUSAL_FILE`] by default.
    fn refusal_file(&self) -> Cow<'static, str> {
        Cow::Borrowed(Self::REFUSAL_FILE)
    }

    /// The control files of this value: [`Subsystem::FILES`] by default.
    fn files(&self) -> Vec<ControlFile<Self>> {
        Self::FILES.to_vec()
    }

    /// Makes the state of a new cgroup in mkdir, and of the dummy hierarchy's root at load.
    ///
    /// [`Context::css`] is the new css, and [`Context::parent`] its parent; `None` at load. The cgroup is not yet among
    /// the children of its parent. [`Context::state`] panics here, since the state does not exist yet.
    ///
    /// # Errors
    /// Any. The mkdir or load fails with the error and leaves nothing behind.
    fn create(&mut self, ctx: &mut Context<'_, Self>) -> Result<Self::State>;

    /// Ends the state of [`Context::css`]: after a rmdir, after a mkdir that failed, and at unload.
    ///
    /// The state can still be read, and core drops it afterwards.
    fn destroy(&mut self, ctx: &mut Context<'_, Self>);

    /// Called before a rmdir removes a cgroup without tasks and children, and before an unload for the last state.
    ///
    /// The call may repeat for one state, since another subsystem can refuse the same rmdir.
    ///
    /// # Errors
    /// Any. The rmdir or unload fails with the error, and the state stays.
    fn pre_destroy(&mut self, ctx: &mut Context<'_, Self>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Decides whether `tasks`, at least one, may move to [`Context::css`]. A fork never calls this.
    ///
    /// Every subsystem of the hierarchy decides before any task moves. An agreement has to stay valid until
    /// [`Subsystem::attach`] or [`Subsystem::cancel_attach`] (D2.2).
    ///
    /// # Errors
    /// Any. The whole attach fails with the error.
    fn can_attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) -> Result<()> {
        let _ = (ctx, tasks);
        Ok(())
    }

    /// Called when a move does not happen after this subsystem's [`Subsystem::can_attach`] has agreed.
    ///
    /// The arguments are those of `can_attach`. The subsystem undoes its reservations here.
    fn cancel_attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) {
        let _ = (ctx, tasks);
    }

    /// Called when `tasks` have moved to [`Context::css`]. To refuse a move is up to [`Subsystem::can_attach`].
    ///
    /// Without [`Callbacks::FORK`] also called for a task's first place: a task that a host launches or adopts, or that
    /// exists at load. [`Migration::is_first_place`] is true then, and `can_attach` was not called. Not called for the
    /// child of a member: the host gives a child what its parent has.
    fn attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) {
        let _ = (ctx, tasks);
    }

    /// Decides whether `parent` may fork, before the child exists and after all charge rules have agreed.
    ///
    /// [`Context::css`] is the css of `parent`. A subsystem that may refuse has to announce that with
    /// [`Context::set_may_refuse_fork`]: until then a host need not be able to refuse.
    ///
    /// # Errors
    /// Any. fork(2) fails with its errno.
    fn can_fork(&mut self, ctx: &mut Context<'_, Self>, parent: Tid) -> Result<()> {
        let _ = (ctx, parent);
        Ok(())
    }

    /// Called when a fork does not happen after this subsystem's [`Subsystem::can_fork`] has agreed.
    fn cancel_fork(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }

    /// Called when `child` is a member of [`Context::css`] and has not run yet.
    ///
    /// Also called for a task that a host adopts; such a task may have run before.
    fn fork(&mut self, ctx: &mut Context<'_, Self>, child: Tid) {
        let _ = (ctx, child);
    }

    /// Called once at load with the tasks that the host has already, all of them members of [`Context::css`] (C5.3).
    ///
    /// Part of [`Callbacks::FORK`]. The default calls [`Subsystem::fork`] for each task.
    fn replay_tasks(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Tid]) {
        for &task in tasks {
            self.fork(ctx, task);
        }
    }

    /// Called once for each task after its death. [`Context::css`] is the css of the task, which is no longer a member.
    /// The charges of the task are taken back afterwards.
    ///
    /// `task` is the number at death. A thread that calls execve(2) takes over the number of its leader: `exit` has
    /// been called for the old leader by then. [`Subsystem::fork`] is not called again, and `exit` never gets the
    /// thread's former number.
    fn exit(&mut self, ctx: &mut Context<'_, Self>, task: Tid) {
        let _ = (ctx, task);
    }

    /// Called in mkdir after [`Subsystem::create`], if the parent has `cgroup.clone_children` set (B7).
    ///
    /// The subsystem copies settings of the parent here.
    fn post_clone(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }

    /// Called when the subsystem has moved from the dummy hierarchy to another, or back (A5.7).
    ///
    /// All states are kept. [`Context::css`] is the css of the root, which is now the root of the new hierarchy.
    fn bind(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }
}
