//! The context of a callback: its access to states, the tree, counters and the host.

use alloc::string::String;
use alloc::vec::Vec;

use crate::counter::{Counter, CpuTime, CpuUsage};
use crate::engine_services::subtree_of;
use crate::error::Result;
use crate::hierarchy::HierarchyFlags;
use crate::host::Capability;
use crate::ids::Css;
use crate::services::{EngineView, Services};
use crate::subsystem::Subsystem;
use crate::task::{Caller, Tid};

/// The access of one callback: to its subsystem's states, to the tree around them, to counters and to the host.
///
/// A [`Css`] names one cgroup as this subsystem sees it. Only a css of the same subsystem may be given, and only until
/// its [`Subsystem::destroy`]; methods panic for any other.
pub struct Context<'a, S: Subsystem> {
    pub(crate) states: &'a mut Vec<Option<S::State>>,
    pub(crate) css: Css,
    pub(crate) private: usize,
    pub(crate) services: &'a mut dyn Services,
}

impl<S: Subsystem> Context<'_, S> {
    /// The css that the call is about. In an attach it is the destination.
    pub fn css(&self) -> Css {
        self.css
    }

    /// The value that [`ControlFile::private`](crate::control_file::ControlFile::private) gave the file that is read or
    /// written; 0 in other callbacks.
    pub fn private(&self) -> usize {
        self.private
    }

    /// The state of [`Context::css`]. Panics in [`Subsystem::create`], where there is none yet.
    pub fn state(&self) -> &S::State {
        self.state_of(self.css)
    }

    /// The state of [`Context::css`], to change. Panics in [`Subsystem::create`], where there is none yet.
    pub fn state_mut(&mut self) -> &mut S::State {
        self.state_of_mut(self.css)
    }

    /// The state of any css of the same subsystem, such as the parent.
    pub fn state_of(&self, css: Css) -> &S::State {
        self.states[css.0 as usize].as_ref().expect("a css has a state from create to destroy")
    }

    /// The state of any css of the same subsystem, to change.
    pub fn state_of_mut(&mut self, css: Css) -> &mut S::State {
        self.states[css.0 as usize].as_mut().expect("a css has a state from create to destroy")
    }

    /// The parent of [`Context::css`]; `None` for the root of a hierarchy.
    pub fn parent(&self) -> Option<Css> {
        self.parent_of(self.css)
    }

    /// The parent of a css; `None` for the root of a hierarchy.
    pub fn parent_of(&self, css: Css) -> Option<Css> {
        self.services.parent_of(css)
    }

    /// True if [`Context::css`] is the root of its hierarchy.
    pub fn is_root(&self) -> bool {
        self.parent().is_none()
    }

    /// The children of a css, in the order of their creation.
    pub fn children_of(&self, css: Css) -> Vec<Css> {
        self.services.children_of(css)
    }

    /// The css and everything below it, parents before children.
    pub fn subtree_of(&self, css: Css) -> Vec<Css> {
        subtree_of(self.services, css)
    }

    /// The tasks that are members of the css's own cgroup, by ascending number. Tasks below are not listed.
    pub fn tasks_of(&self, css: Css) -> Vec<Tid> {
        self.services.tasks_of(css)
    }

    /// True if the css's own cgroup has a member. Tasks below do not count.
    pub fn has_tasks(&self, css: Css) -> bool {
        self.services.has_tasks(css)
    }

    /// The path of a css's cgroup from the root of its hierarchy, for messages: bytes that are not UTF-8 are replaced.
    pub fn path_of(&self, css: Css) -> String {
        String::from_utf8_lossy(&self.services.path_of(css)).into_owned()
    }

    /// The flags that the hierarchy of [`Context::css`] was mounted with.
    pub fn hierarchy_flags(&self) -> HierarchyFlags {
        self.services.hierarchy_flags(self.css)
    }

    /// A copy of the counter of `css` for rule number `rule` of [`Subsystem::RULES`].
    pub fn counter(&self, css: Css, rule: usize) -> Counter {
        self.services.counter(css, rule)
    }

    /// Sets the limit of a counter; [`UNLIMITED`](crate::subsystem::UNLIMITED) for none. The usage may already be above
    /// the limit (F3.16).
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) if the limit has to refuse forks and the host
    /// can't, or can't for one of the members. The limit is unchanged then.
    pub fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()> {
        self.services.set_limit(css, rule, limit)
    }

    /// Announces whether this subsystem's [`Subsystem::can_fork`] may refuse from now on. After a load it may not.
    ///
    /// The announcement holds for all its css. Hosts arrange for the refusal of forks only while some subsystem needs
    /// that.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) if the host can't refuse forks, or can't for one
    /// of the members. Nothing has changed then.
    pub fn set_may_refuse_fork(&mut self, may_refuse: bool) -> Result<()> {
        self.services.set_may_refuse_fork(self.css, may_refuse)
    }

    /// Sets the peak of a counter to its present usage.
    pub fn reset_peak(&mut self, css: Css, rule: usize) {
        self.services.reset_peak(css, rule);
    }

    /// The CPU time of a css and everything below it, by CPU. The subsystem needs a rule on
    /// [`Resource::CpuTime`](crate::subsystem::Resource::CpuTime).
    pub fn cpu_usage(&self, css: Css) -> CpuUsage {
        self.services.cpu_usage(css)
    }

    /// Sets the CPU time of a css to zero. The time of its parent and of its children stays.
    pub fn reset_cpu_usage(&mut self, css: Css) {
        self.services.reset_cpu_usage(css);
    }

    /// The CPU time of a css and everything below it, as a sum over all CPUs.
    pub fn cpu_time(&self, css: Css) -> CpuTime {
        self.cpu_usage(css).total()
    }

    /// The services of the host: facts of tasks, affinity, freezing, classes of sockets, signals.
    pub fn host(&mut self) -> &mut dyn Services {
        self.services
    }

    /// Makes sure that the host has `capability` from now on. Call this before accepting a setting that needs it.
    ///
    /// # Errors
    /// [`Error::HostCannot`](crate::Error::HostCannot) (`EOPNOTSUPP`) with the host's reason.
    pub fn require(&mut self, capability: Capability) -> Result<()> {
        self.services.require(capability)
    }

    /// The caller who reads or writes a control file, makes or removes a directory, or attaches.
    ///
    /// `None` in callbacks of load, unload, fork and exit, and in `bind` and `destroy`.
    pub fn caller(&self) -> Option<&Caller> {
        self.services.caller()
    }

    /// The engine around [`Context::css`], for a subsystem that shows the framework itself; `None` in a module.
    pub fn engine_view(&self) -> Option<EngineView<'_>> {
        self.services.engine_view(self.css)
    }
}
