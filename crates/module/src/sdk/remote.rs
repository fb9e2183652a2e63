//! The services of the program that has loaded the module, over the binary interface.

use std::cell::OnceCell;
use std::ffi::{c_char, c_int};

use penfold_core::{
    Caller, Errno, Error, Result, Tid,
    host::{Capability, IndexSet, TaskFacts},
    subsystem::{Counter, CpuTime, CpuUsage, Css, EngineView, Services},
    tree::HierarchyFlags,
};

use super::callbacks::code;
use crate::abi;

/// Calls one service. A macro, since every entry of the table has a type of its own.
macro_rules! ask {
    ($port:expr, $service:ident $(, $argument:expr)*) => {{
        let ctx = $port.ctx;
        // SAFETY: `Port::new` was promised that the context is valid. Pointers among the arguments are of things that
        // live longer than the call, with their true lengths.
        unsafe { ((*(*ctx).services).$service)(ctx $(, $argument)*) }
    }};
}

/// The context of one callback, to talk back by.
#[derive(Clone, Copy)]
pub(super) struct Port {
    ctx: *mut abi::Context,
}

impl Port {
    /// Adds to the text that is read.
    pub(super) fn put(self, text: &str) {
        ask!(self, put, text.as_ptr().cast(), text.len());
    }

    /// Adds a line to the map that is read. `key` ends with a NUL and has no other.
    pub(super) fn put_line(self, key: &[u8], value: u64) {
        let end = key.iter().position(|&byte| byte == 0);
        assert_eq!(end, Some(key.len() - 1), "the key of a line has a NUL in it");
        ask!(self, put_line, key.as_ptr().cast(), value);
    }
}

/// What a subsystem asks of the program that has loaded it, for one callback.
pub(super) struct Remote {
    port: Port,
    rules: usize,
    caller: OnceCell<Option<Caller>>,
    /// The last error that a service has given: the other side knows more of it than came over the interface.
    known: Option<Error>,
}

impl Remote {
    /// # Safety
    /// `ctx` is that of a callback under way, which returns after this and every [`Port`] of it are gone.
    pub(super) unsafe fn new(ctx: *mut abi::Context, rules: usize) -> Remote {
        Remote { port: Port { ctx }, rules, caller: OnceCell::new(), known: None }
    }

    pub(super) fn port(&self) -> Port {
        self.port
    }

    /// Reports a failure that the author did not mean.
    pub(super) fn failed(&self, text: &str) {
        ask!(self.port, failed, text.as_ptr().cast(), text.len());
    }

    /// What a callback answers. The reason of an error is told, unless the error came from a service.
    pub(super) fn conclude(&self, result: Result<()>) -> c_int {
        let Err(error) = result else { return 0 };
        if self.known.as_ref() != Some(&error) {
            let text = reason(&error);
            ask!(self.port, explain, text.as_ptr().cast(), text.len());
        }
        code(error.errno())
    }

    /// The answer of a service which can fail in a way that the other side knows more of.
    fn checked(&mut self, answer: c_int, error: impl FnOnce(Errno) -> Error) -> Result<()> {
        plain(answer).map_err(|errno| self.known.insert(error(errno)).clone())
    }

    fn cannot(errno: Errno, need: Capability) -> Error {
        let reason = "the program that has loaded the module knows why";
        match errno {
            Errno::EOPNOTSUPP => {
                Error::HostCannot { file: String::new(), host: "present", need, reason: reason.into() }
            }
            other => Error::refused(other, reason),
        }
    }

    fn ask_caller(&self) -> Option<Caller> {
        let mut found = abi::Caller::default();
        if ask!(self.port, caller, &raw mut found) != 1 {
            return None;
        }
        Some(Caller {
            task: Tid(found.task),
            uid: found.uid,
            gid: found.gid,
            groups: list(|list, capacity| ask!(self.port, caller_groups, list, capacity)),
            umask: found.umask,
            privileged: found.privileged != 0,
        })
    }
}

/// Without the name of the subsystem or its file, which the other side adds.
fn reason(error: &Error) -> String {
    match error {
        Error::Value { file, reason, .. } if file.is_empty() => reason.to_string(),
        Error::Subsystem { subsystem, reason, .. } if subsystem.is_empty() => reason.to_string(),
        other => other.to_string(),
    }
}

fn plain(answer: c_int) -> Result<(), Errno> {
    match answer {
        0 => Ok(()),
        code => Err(code.checked_neg().and_then(Errno::from_number).unwrap_or(Errno::EINVAL)),
    }
}

/// Fetches a list of whatever length: the service says how many there are, also when they did not fit.
fn list<T: Copy + Default>(fill: impl Fn(*mut T, usize) -> usize) -> Vec<T> {
    let mut list = vec![T::default(); 32];
    loop {
        let count = fill(list.as_mut_ptr(), list.len());
        let fits = count <= list.len();
        list.resize(count, T::default());
        if fits {
            return list;
        }
    }
}

fn tids(list: Vec<i32>) -> Vec<Tid> {
    list.into_iter().map(Tid).collect()
}

impl Services for Remote {
    /// In its own `create` a css has nothing yet to be known by.
    fn is_alive(&self, css: Css) -> bool {
        // SAFETY: as `Remote::new` was promised.
        let own = unsafe { (*self.port.ctx).css };
        css.number() == own || !ask!(self.port, state, css.number()).is_null()
    }

    fn rule_count(&self) -> usize {
        self.rules
    }

    fn parent_of(&self, css: Css) -> Option<Css> {
        let parent = ask!(self.port, parent, css.number());
        (parent != abi::NO_CSS).then(|| Css::from_number(parent))
    }

    fn children_of(&self, css: Css) -> Vec<Css> {
        let children = list(|list, capacity| ask!(self.port, children, css.number(), list, capacity));
        children.into_iter().map(Css::from_number).collect()
    }

    fn tasks_of(&self, css: Css) -> Vec<Tid> {
        tids(list(|list, capacity| ask!(self.port, tasks, css.number(), list, capacity)))
    }

    fn has_tasks(&self, css: Css) -> bool {
        ask!(self.port, has_tasks, css.number()) != 0
    }

    fn path_of(&self, css: Css) -> Vec<u8> {
        list(|list: *mut u8, capacity| ask!(self.port, path, css.number(), list.cast::<c_char>(), capacity))
    }

    fn hierarchy_flags(&self, css: Css) -> HierarchyFlags {
        HierarchyFlags::from_bits_truncate(ask!(self.port, hierarchy_flags, css.number()))
    }

    fn counter(&self, css: Css, rule: usize) -> Counter {
        let mut counter = abi::Counter::default();
        let answer = ask!(self.port, counter, css.number(), rule as u32, &raw mut counter);
        assert_eq!(answer, 0, "css {} has no counter for rule {rule}", css.number());
        let abi::Counter { usage, limit, peak, failures, refused } = counter;
        Counter { usage, limit, peak, failures, refused }
    }

    fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()> {
        let answer = ask!(self.port, set_limit, css.number(), rule as u32, limit);
        self.checked(answer, |errno| Remote::cannot(errno, Capability::ForkVeto))
    }

    /// For the css of the callback: the answer is one for all of the subsystem's.
    fn set_may_refuse_fork(&mut self, _: Css, refusing: bool) -> Result<()> {
        let answer = ask!(self.port, set_refusing, refusing.into());
        self.checked(answer, |errno| Remote::cannot(errno, Capability::ForkVeto))
    }

    fn reset_peak(&mut self, css: Css, rule: usize) {
        let answer = ask!(self.port, reset_peak, css.number(), rule as u32);
        assert_eq!(answer, 0, "css {} has no counter for rule {rule}", css.number());
    }

    fn cpu_usage(&self, css: Css) -> CpuUsage {
        let times = list(|list, capacity| ask!(self.port, cpu_usage, css.number(), list, capacity));
        times.into_iter().map(|abi::CpuTime { user, system }| CpuTime { user, system }).collect()
    }

    fn reset_cpu_usage(&mut self, css: Css) {
        let answer = ask!(self.port, reset_cpu_usage, css.number());
        assert_eq!(answer, 0, "css {} counts no CPU time", css.number());
    }

    fn caller(&self) -> Option<&Caller> {
        self.caller.get_or_init(|| self.ask_caller()).as_ref()
    }

    fn require(&mut self, need: Capability) -> Result<()> {
        let number = match need {
            Capability::ForkVeto => abi::NEED_FORK_VETO,
            Capability::Affinity => abi::NEED_AFFINITY,
            Capability::MemoryNodes => abi::NEED_MEMORY_NODES,
            Capability::Freeze => abi::NEED_FREEZE,
            Capability::SocketClass => abi::NEED_SOCKET_CLASS,
        };
        let answer = ask!(self.port, require, number);
        self.checked(answer, |errno| Remote::cannot(errno, need))
    }

    fn task(&self, task: Tid) -> Option<TaskFacts> {
        let mut facts = abi::TaskFacts::default();
        if ask!(self.port, task, task.0, &raw mut facts) != 0 {
            return None;
        }
        Some(TaskFacts {
            group: Tid(facts.group),
            real_uid: facts.real_uid,
            saved_uid: facts.saved_uid,
            movable: facts.movable != 0,
            exiting: facts.exiting != 0,
            forking: facts.forking != 0,
        })
    }

    fn threads_of(&self, group: Tid) -> Vec<Tid> {
        tids(list(|list, capacity| ask!(self.port, threads, group.0, list, capacity)))
    }

    fn now(&self) -> u64 {
        ask!(self.port, now)
    }

    fn cpus(&self) -> IndexSet {
        IndexSet::from_words(&list(|list, capacity| ask!(self.port, cpus, list, capacity)))
    }

    fn memory_nodes(&self) -> IndexSet {
        IndexSet::from_words(&list(|list, capacity| ask!(self.port, memory_nodes, list, capacity)))
    }

    fn cpu_limit(&self) -> usize {
        ask!(self.port, cpu_limit)
    }

    fn node_limit(&self) -> usize {
        ask!(self.port, node_limit)
    }

    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        let cpus = cpus.to_words();
        plain(ask!(self.port, set_affinity, task.0, cpus.as_ptr(), cpus.len()))
    }

    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        migrate: bool,
    ) -> Result<(), Errno> {
        let (from, to) = (from.to_words(), to.to_words());
        plain(ask!(
            self.port,
            set_memory_nodes,
            task.0,
            from.as_ptr(),
            from.len(),
            to.as_ptr(),
            to.len(),
            migrate.into()
        ))
    }

    fn freeze(&mut self, task: Tid) {
        ask!(self.port, freeze, task.0);
    }

    fn thaw(&mut self, task: Tid) {
        ask!(self.port, thaw, task.0);
    }

    fn is_frozen(&self, task: Tid) -> bool {
        ask!(self.port, is_frozen, task.0) != 0
    }

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        plain(ask!(self.port, set_socket_class, task.0, class))
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        plain(ask!(self.port, signal, task.0, signal))
    }

    fn engine_view(&self, _: Css) -> Option<EngineView<'_>> {
        None
    }
}
