//! The trait of a subsystem (a controller), and what a callback of it can see and do.

use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::counter::{Counter, CpuTime, CpuUsage, Resource, Rule, UNLIMITED};
use crate::error::Result;
use crate::file::File;
use crate::host::{Host, Need};
use crate::ids::{CgroupId, Css};
use crate::slot::Env;
use crate::task::{Caller, Tid};
use crate::tree::Tree;

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
    fn name(&self) -> &str;

    /// Which of the optional callbacks are implemented.
    fn callbacks(&self) -> Callbacks {
        Callbacks::empty()
    }

    /// The charge rules; each gives every css one [`Counter`] (and [`Resource::CpuTime`] a [`CpuUsage`]).
    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    /// The control file (without prefix) that makes `can_fork` refuse, to name it in events; empty for none.
    fn refusing_file(&self) -> &'static str {
        ""
    }

    /// The control files.
    fn files(&self) -> Vec<File<Self>> {
        Vec::new()
    }

    /// Makes the state of a new cgroup, whose parent is `ctx.parent()`; with no parent, of the dummy
    /// hierarchy's top at load. The new cgroup is not yet among its parent's children.
    ///
    /// # Errors
    /// Any; the mkdir or load fails with it and leaves nothing behind.
    fn create(&mut self, ctx: &mut Context<'_, Self>) -> Result<Self::State>;

    /// Takes leave of a state: after rmdir, after a failed mkdir, at unload. The state is dropped after it.
    fn destroy(&mut self, ctx: &mut Context<'_, Self>);

    /// Before rmdir; may run more than once.
    ///
    /// # Errors
    /// Any; the rmdir fails with it.
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
    /// say no has to announce it with [`Context::set_refusing`]: until then a host need not be able to refuse.
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

    /// A child exists and has not run yet. Also called once for every task that exists when the subsystem is
    /// loaded.
    fn fork(&mut self, ctx: &mut Context<'_, Self>, child: Tid) {
        let _ = (ctx, child);
    }

    /// A task has died. Its css is still `ctx.css()`; it is no longer a member of it.
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

/// What a callback sees and can do: its subsystem's states, the tree around them, counters, and the host.
pub struct Context<'a, S: Subsystem> {
    pub(crate) states: &'a mut Vec<Option<S::State>>,
    pub(crate) css: Css,
    pub(crate) private: usize,
    pub(crate) env: Env<'a>,
}

impl<S: Subsystem> Context<'_, S> {
    /// The css that the call is about.
    pub fn css(&self) -> Css {
        self.css
    }

    /// The [`File::private`] value of the control file that is read or written.
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

    /// The parent of another css.
    pub fn parent_of(&self, css: Css) -> Option<Css> {
        self.env.css[css.0 as usize].parent
    }

    /// Is the css the root of its hierarchy?
    pub fn is_root(&self) -> bool {
        self.parent().is_none()
    }

    /// The cgroup of a css.
    pub fn cgroup_of(&self, css: Css) -> CgroupId {
        self.env.css[css.0 as usize].cgroup
    }

    /// The children of a css, in the order of their creation.
    pub fn children_of(&self, css: Css) -> Vec<Css> {
        let slot = self.env.slot;
        self.tree().children(self.cgroup_of(css)).filter_map(|child| self.tree()[child].css(slot)).collect()
    }

    /// The css and everything below it, parents before children.
    pub fn subtree_of(&self, css: Css) -> Vec<Css> {
        let mut all = alloc::vec![css];
        let mut next = 0;
        while let Some(&parent) = all.get(next) {
            all.extend(self.children_of(parent));
            next += 1;
        }
        all
    }

    /// The tasks that are members of the css's cgroup itself, ascending.
    pub fn tasks_of(&self, css: Css) -> Vec<Tid> {
        self.tree().tasks(self.env.host, self.cgroup_of(css))
    }

    /// Has the css's cgroup itself any member?
    pub fn has_tasks(&self, css: Css) -> bool {
        self.tree()[self.cgroup_of(css)].has_tasks()
    }

    /// The counter of a css for the subsystem's rule number `rule`.
    pub fn counter(&self, css: Css, rule: usize) -> &Counter {
        &self.env.counters[css.0 as usize * self.env.rules.len() + rule]
    }

    fn counter_mut(&mut self, css: Css, rule: usize) -> &mut Counter {
        &mut self.env.counters[css.0 as usize * self.env.rules.len() + rule]
    }

    /// Sets a counter's limit; the usage may already exceed it (F3.16).
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) when forks have to be refused and the host can't, or not those of a member.
    pub fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()> {
        let forks = matches!(self.env.rules[rule].resource, Resource::Tasks | Resource::Forks);
        if forks && limit != UNLIMITED {
            self.require_veto_below(css)?;
        }
        let old = core::mem::replace(&mut self.counter_mut(css, rule).limit, limit);
        if forks {
            *self.env.limits += usize::from(limit != UNLIMITED);
            *self.env.limits -= usize::from(old != UNLIMITED);
        }
        Ok(())
    }

    /// Has the host refuse forks of all members of a css and of those below it, from now on.
    fn require_veto_below(&mut self, css: Css) -> Result<()> {
        let need = Need::ForkVeto;
        self.require(need)?;
        let mut members: Vec<Tid> = Vec::new();
        for below in self.subtree_of(css) {
            members.extend(self.tasks_of(below));
        }
        let host = &mut *self.env.host;
        members
            .iter()
            .try_for_each(|&task| host.can_give(task, need).map_err(|cannot| cannot.error(need)))?;
        for task in members {
            host.give(task, need);
        }
        Ok(())
    }

    /// Says whether this subsystem's `can_fork` may refuse from now on; it may not at load. One answer for all its
    /// css: hosts arrange for the refusal of forks only while some subsystem needs it.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) when forks have to be refused and the host can't; then nothing has changed.
    pub fn set_refusing(&mut self, refusing: bool) -> Result<()> {
        if refusing && !*self.env.refusing {
            let root = core::iter::successors(Some(self.css), |&css| self.parent_of(css)).last();
            self.require_veto_below(root.unwrap_or(self.css))?;
        }
        let old = core::mem::replace(self.env.refusing, refusing);
        *self.env.limits += usize::from(refusing);
        *self.env.limits -= usize::from(old);
        Ok(())
    }

    /// Sets a counter's peak back to its usage.
    pub fn reset_peak(&mut self, css: Css, rule: usize) {
        let counter = self.counter_mut(css, rule);
        counter.peak = counter.usage;
    }

    /// CPU time charged to a css, descendants included.
    pub fn cpu_usage(&self, css: Css) -> &CpuUsage {
        &self.env.cpu[css.0 as usize]
    }

    /// Forgets the CPU time charged to a css; not that of its parent or children.
    pub fn reset_cpu_usage(&mut self, css: Css) {
        self.env.cpu[css.0 as usize].reset();
    }

    /// CPU time of a css as one sum.
    pub fn cpu_time(&self, css: Css) -> CpuTime {
        self.cpu_usage(css).total()
    }

    /// The host.
    pub fn host(&mut self) -> &mut dyn Host {
        self.env.host
    }

    /// Asks the host whether it can meet a need.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) with the host's reason.
    pub fn require(&mut self, need: Need) -> Result<()> {
        self.env.host.require(need).map_err(|cannot| cannot.error(need))
    }

    /// Who reads or writes a control file, makes a directory or attaches; `None` in fork, exit and bind.
    pub fn caller(&self) -> Option<&Caller> {
        self.env.caller
    }

    /// All cgroups and css_sets, to look at.
    pub fn tree(&self) -> &Tree {
        self.env.tree
    }

    /// The path of a css's cgroup from the root of its hierarchy.
    pub fn path_of(&self, css: Css) -> String {
        String::from_utf8_lossy(&self.tree().path(self.cgroup_of(css))).into_owned()
    }
}
