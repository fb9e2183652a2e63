//! The trait of a subsystem (a controller), and what a callback of it can see and do.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::control_file::ControlFile;
use crate::engine_services::subtree_of;
use crate::error::Result;
use crate::hierarchy::HierarchyFlags;
use crate::host::Capability;
use crate::task::{Caller, Tid};

pub use crate::counter::{Counter, CpuTime, CpuUsage, Resource, Rule, UNLIMITED};
pub use crate::ids::Css;
pub use crate::services::{EngineView, Services};

bitflags! {
    /// The optional callbacks that a subsystem implements. Those it leaves out are never called and cost
    /// nothing: core keeps masks of who wants what, and a host asks the masks before it arranges an event.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Callbacks: u32 {
        /// [`Subsystem::pre_destroy`]
        const PRE_DESTROY = 1;
        /// [`Subsystem::can_attach`] and [`Subsystem::cancel_attach`]
        const CAN_ATTACH = 1 << 1;
        /// [`Subsystem::attach`]
        const ATTACH = 1 << 2;
        /// [`Subsystem::can_fork`] and [`Subsystem::cancel_fork`]
        const CAN_FORK = 1 << 3;
        /// [`Subsystem::fork`]
        const FORK = 1 << 4;
        /// [`Subsystem::exit`]
        const EXIT = 1 << 5;
        /// [`Subsystem::post_clone`]
        const POST_CLONE = 1 << 6;
        /// [`Subsystem::bind`]
        const BIND = 1 << 7;
    }
}

/// One task that moves from one css to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The task.
    pub task: Tid,
    /// Where it is.
    pub from: Css,
    /// Where it goes.
    pub to: Css,
}

/// A resource controller. `create` and `destroy` are mandatory, everything else has a default (D2).
///
/// Callbacks get the subsystem itself (state that is one for all cgroups) and a [`Context`] (state per
/// cgroup, the tree, counters, the host). A callback that can fail must leave its state as it was.
pub trait Subsystem: Sized + Send + 'static {
    /// The state in one cgroup.
    type State: Send + 'static;

    /// The name, at most 32 bytes, unique among loaded subsystems; also the prefix of its files.
    const NAME: &'static str;

    /// Which of the optional callbacks are implemented.
    const CALLBACKS: Callbacks = Callbacks::empty();

    /// The charge rules; each gives every css one [`Counter`] (and [`Resource::CpuTime`] a [`CpuUsage`]).
    ///
    /// [`Resource::CpuTime`]: crate::Resource::CpuTime
    const RULES: &'static [Rule] = &[];

    /// The control file (without prefix) that makes `can_fork` refuse, to name it in events; empty for none.
    const REFUSAL_FILE: &'static str = "";

    /// The control files.
    const FILES: &'static [ControlFile<Self>] = &[];

    /// [`Subsystem::NAME`], but for a type that stands for many subsystems. So are the four below.
    fn name(&self) -> &str {
        Self::NAME
    }

    /// [`Subsystem::CALLBACKS`]
    fn callbacks(&self) -> Callbacks {
        Self::CALLBACKS
    }

    /// [`Subsystem::RULES`]
    fn rules(&self) -> Vec<Rule> {
        Self::RULES.to_vec()
    }

    /// [`Subsystem::REFUSAL_FILE`]
    fn refusal_file(&self) -> Cow<'static, str> {
        Cow::Borrowed(Self::REFUSAL_FILE)
    }

    /// [`Subsystem::FILES`]
    fn files(&self) -> Vec<ControlFile<Self>> {
        Self::FILES.to_vec()
    }

    /// Makes the state of a new cgroup, whose parent is `ctx.parent()`; with no parent, of the dummy
    /// hierarchy's top at load. The new cgroup is not yet among its parent's children.
    ///
    /// # Errors
    /// Any; the mkdir or load fails with it and leaves nothing behind.
    fn create(&mut self, ctx: &mut Context<'_, Self>) -> Result<Self::State>;

    /// Takes leave of a state: after rmdir, after a failed mkdir, at unload. The state is dropped after it.
    fn destroy(&mut self, ctx: &mut Context<'_, Self>);

    /// Before rmdir, and for the last state before unload; may run more than once.
    ///
    /// # Errors
    /// Any; the rmdir or unload fails with it.
    fn pre_destroy(&mut self, ctx: &mut Context<'_, Self>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// May these tasks move? A yes stays valid until `attach` or `cancel_attach` (D2.2). Never asked on fork.
    ///
    /// # Errors
    /// Any; the whole attach fails with it.
    fn can_attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) -> Result<()> {
        let _ = (ctx, tasks);
        Ok(())
    }

    /// The move that `can_attach` had agreed to does not happen.
    fn cancel_attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) {
        let _ = (ctx, tasks);
    }

    /// The tasks have moved.
    fn attach(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Migration]) {
        let _ = (ctx, tasks);
    }

    /// May `parent` fork? Asked before the child exists, after the charge rules have agreed. A subsystem that may
    /// say no has to announce it with [`Context::set_may_refuse_fork`]: until then a host need not be able to refuse.
    ///
    /// # Errors
    /// Any; fork(2) answers its errno.
    fn can_fork(&mut self, ctx: &mut Context<'_, Self>, parent: Tid) -> Result<()> {
        let _ = (ctx, parent);
        Ok(())
    }

    /// The fork that `can_fork` had agreed to does not happen.
    fn cancel_fork(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }

    /// A child exists and has not run yet.
    fn fork(&mut self, ctx: &mut Context<'_, Self>, child: Tid) {
        let _ = (ctx, child);
    }

    /// These tasks exist already as the subsystem is loaded: of each it is told once. Part of [`Callbacks::FORK`].
    fn replay_tasks(&mut self, ctx: &mut Context<'_, Self>, tasks: &[Tid]) {
        for &task in tasks {
            self.fork(ctx, task);
        }
    }

    /// A task has died. Its css is still `ctx.css()`; it is no longer a member of it.
    ///
    /// It is told by the number that it has then. A thread that executes a program goes on under its process's number,
    /// after the death of the leader who had that was told; nothing is born by that, and of the number that the thread
    /// had before nothing is told any more.
    fn exit(&mut self, ctx: &mut Context<'_, Self>, task: Tid) {
        let _ = (ctx, task);
    }

    /// After `create`, where the parent has `cgroup.clone_children` set.
    fn post_clone(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }

    /// The subsystem was moved to another hierarchy, or back to the dummy one; `ctx.css()` is the new root.
    fn bind(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }
}

/// What a callback sees and can do: its subsystem's states, the tree around them, counters, and the host's services.
pub struct Context<'a, S: Subsystem> {
    pub(crate) states: &'a mut Vec<Option<S::State>>,
    pub(crate) css: Css,
    pub(crate) private: usize,
    pub(crate) services: &'a mut dyn Services,
}

impl<S: Subsystem> Context<'_, S> {
    /// The css that the call is about.
    pub fn css(&self) -> Css {
        self.css
    }

    /// The [`ControlFile::private`] value of the control file that is read or written.
    pub fn private(&self) -> usize {
        self.private
    }

    /// The state of the css that the call is about.
    pub fn state(&self) -> &S::State {
        self.state_of(self.css)
    }

    /// The same, to change.
    pub fn state_mut(&mut self) -> &mut S::State {
        self.state_of_mut(self.css)
    }

    /// The state of another css of the same subsystem.
    pub fn state_of(&self, css: Css) -> &S::State {
        self.states[css.0 as usize].as_ref().expect("a css has a state from create to destroy")
    }

    /// The same, to change.
    pub fn state_of_mut(&mut self, css: Css) -> &mut S::State {
        self.states[css.0 as usize].as_mut().expect("a css has a state from create to destroy")
    }

    /// The parent, `None` for a root.
    pub fn parent(&self) -> Option<Css> {
        self.parent_of(self.css)
    }

    /// [`Services::parent_of`]
    pub fn parent_of(&self, css: Css) -> Option<Css> {
        self.services.parent_of(css)
    }

    /// Is the css the root of its hierarchy?
    pub fn is_root(&self) -> bool {
        self.parent().is_none()
    }

    /// [`Services::children_of`]
    pub fn children_of(&self, css: Css) -> Vec<Css> {
        self.services.children_of(css)
    }

    /// The css and everything below it, parents before children.
    pub fn subtree_of(&self, css: Css) -> Vec<Css> {
        subtree_of(self.services, css)
    }

    /// [`Services::tasks_of`]
    pub fn tasks_of(&self, css: Css) -> Vec<Tid> {
        self.services.tasks_of(css)
    }

    /// [`Services::has_tasks`]
    pub fn has_tasks(&self, css: Css) -> bool {
        self.services.has_tasks(css)
    }

    /// The path of a css's cgroup from the root of its hierarchy, to be shown.
    pub fn path_of(&self, css: Css) -> String {
        String::from_utf8_lossy(&self.services.path_of(css)).into_owned()
    }

    /// The flags that the hierarchy was mounted with.
    pub fn hierarchy_flags(&self) -> HierarchyFlags {
        self.services.hierarchy_flags(self.css)
    }

    /// [`Services::counter`]
    pub fn counter(&self, css: Css, rule: usize) -> Counter {
        self.services.counter(css, rule)
    }

    /// [`Services::set_limit`]
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) when forks have to be refused and the host can't, or not those
    /// of a member.
    pub fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()> {
        self.services.set_limit(css, rule, limit)
    }

    /// Says whether this subsystem's `can_fork` may refuse from now on; it may not at load. One answer for all its
    /// css: hosts arrange for the refusal of forks only while some subsystem needs it.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) when forks have to be refused and the host can't; then nothing has changed.
    pub fn set_may_refuse_fork(&mut self, refusing: bool) -> Result<()> {
        self.services.set_may_refuse_fork(self.css, refusing)
    }

    /// [`Services::reset_peak`]
    pub fn reset_peak(&mut self, css: Css, rule: usize) {
        self.services.reset_peak(css, rule);
    }

    /// [`Services::cpu_usage`]
    pub fn cpu_usage(&self, css: Css) -> CpuUsage {
        self.services.cpu_usage(css)
    }

    /// [`Services::reset_cpu_usage`]
    pub fn reset_cpu_usage(&mut self, css: Css) {
        self.services.reset_cpu_usage(css);
    }

    /// CPU time of a css as one sum.
    pub fn cpu_time(&self, css: Css) -> CpuTime {
        self.cpu_usage(css).total()
    }

    /// The services of the host: facts of tasks, affinity, freezing, classes of sockets, signals.
    pub fn host(&mut self) -> &mut dyn Services {
        self.services
    }

    /// [`Services::require`]
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) with the host's reason.
    pub fn require(&mut self, need: Capability) -> Result<()> {
        self.services.require(need)
    }

    /// [`Services::caller`]
    pub fn caller(&self) -> Option<&Caller> {
        self.services.caller()
    }

    /// [`Services::engine_view`] of the css that the call is about.
    pub fn engine_view(&self) -> Option<EngineView<'_>> {
        self.services.engine_view(self.css)
    }
}
