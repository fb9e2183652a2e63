//! Core's services as a module finds them: calls of the loading program over the binary interface.

use std::cell::OnceCell;
use std::ffi::{c_char, c_int};

use penfold_core::{
    Caller, Errno, Error, Result, Tid,
    host::{Capability, ExistingPages, IndexSet, TaskFacts},
    subsystem::{Counter, CpuTime, CpuUsage, Css, EngineView, Services},
    tree::HierarchyFlags,
};

use crate::abi;
use crate::answer::{code, errno_of};

/// Calls one service. A macro, because every entry of the table has a type of its own.
macro_rules! service {
    ($port:expr, $service:ident $(, $argument:expr)*) => {{
        let ctx = $port.ctx;
        // SAFETY: the caller of `RemoteServices::new` has promised that the context is valid. Pointers among the
        // arguments are of things that live longer than the call, with their true lengths.
        unsafe { ((*(*ctx).services).$service)(ctx $(, $argument)*) }
    }};
}

/// The context of one callback, for calls that give content to a reader.
#[derive(Clone, Copy)]
pub(super) struct ServicePort {
    ctx: *mut abi::RawContext,
}

impl ServicePort {
    /// Adds to the text that a file reads as.
    pub(super) fn put(self, text: &str) {
        service!(self, put, text.as_ptr().cast(), text.len());
    }

    /// Adds a line to the map that a file reads as. `key` ends with a NUL and has no other NUL.
    pub(super) fn put_line(self, key: &[u8], value: u64) {
        let end = key.iter().position(|&byte| byte == 0);
        assert_eq!(end, Some(key.len() - 1), "the key of a line has a NUL in it");
        service!(self, put_line, key.as_ptr().cast(), value);
    }
}

/// The services of the loading program, for one callback.
pub(super) struct RemoteServices {
    port: ServicePort,
    rules: usize,
    caller: OnceCell<Option<Caller>>,
    /// The last error of a service. The loading program knows more about that error than came over the interface.
    known: Option<Error>,
}

impl RemoteServices {
    /// # Safety
    /// `ctx` is the context of a callback under way. The callback returns after this value and its [`ServicePort`]s are
    /// gone.
    pub(super) unsafe fn new(ctx: *mut abi::RawContext, rules: usize) -> RemoteServices {
        RemoteServices { port: ServicePort { ctx }, rules, caller: OnceCell::new(), known: None }
    }

    pub(super) fn port(&self) -> ServicePort {
        self.port
    }

    /// Reports a failure that the author did not intend.
    pub(super) fn failed(&self, text: &str) {
        service!(self.port, failed, text.as_ptr().cast(), text.len());
    }

    /// The answer of a callback. Explains an error, unless the error came from a service: then its reason is known.
    pub(super) fn conclude(&self, result: Result<()>) -> c_int {
        let Err(error) = result else { return 0 };
        if self.known.as_ref() != Some(&error) {
            let text = reason(&error);
            service!(self.port, explain, text.as_ptr().cast(), text.len());
        }
        code(error.errno())
    }

    /// The result of a service. Keeps the error: the loading program knows more about it than its number.
    fn checked(&mut self, answer: c_int, error: impl FnOnce(Errno) -> Error) -> Result<()> {
        plain(answer).map_err(|errno| self.known.insert(error(errno)).clone())
    }

    fn cannot(errno: Errno, need: Capability) -> Error {
        let reason = "the program that has loaded the module knows why";
        match errno {
            Errno::EOPNOTSUPP => Error::HostCannot {
                file: String::new(),
                host: "present",
                capability: need,
                reason: reason.into(),
            },
            other => Error::refused(other, reason),
        }
    }

    fn fetch_caller(&self) -> Option<Caller> {
        let mut found = abi::RawCaller::default();
        if service!(self.port, caller, &raw mut found) != 1 {
            return None;
        }
        Some(Caller {
            task: Tid(found.task),
            uid: found.uid,
            gid: found.gid,
            groups: list(|list, capacity| service!(self.port, caller_groups, list, capacity)),
            umask: found.umask,
            privileged: found.privileged != 0,
        })
    }
}

/// The text of an error without the name of the subsystem or the file, which the loading program adds.
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
        code => Err(errno_of(code).unwrap_or(Errno::EINVAL)),
    }
}

/// Fetches a list of any length. The service returns the whole length even if the list did not fit.
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

impl Services for RemoteServices {
    /// In its own `create` a css has no state yet that `state` could return.
    fn is_alive(&self, css: Css) -> bool {
        // SAFETY: the caller of `RemoteServices::new` has promised that the context is valid.
        let own = unsafe { (*self.port.ctx).css };
        css.number() == own || !service!(self.port, state, css.number()).is_null()
    }

    fn rule_count(&self) -> usize {
        self.rules
    }

    fn parent_of(&self, css: Css) -> Option<Css> {
        let parent = service!(self.port, parent, css.number());
        (parent != abi::NO_CSS).then(|| Css::from_number(parent))
    }

    fn children_of(&self, css: Css) -> Vec<Css> {
        let children = list(|list, capacity| service!(self.port, children, css.number(), list, capacity));
        children.into_iter().map(Css::from_number).collect()
    }

    fn tasks_of(&self, css: Css) -> Vec<Tid> {
        tids(list(|list, capacity| service!(self.port, tasks, css.number(), list, capacity)))
    }

    fn has_tasks(&self, css: Css) -> bool {
        service!(self.port, has_tasks, css.number()) != 0
    }

    fn path_of(&self, css: Css) -> Vec<u8> {
        list(|list: *mut u8, capacity| {
            service!(self.port, path, css.number(), list.cast::<c_char>(), capacity)
        })
    }

    fn hierarchy_flags(&self, css: Css) -> HierarchyFlags {
        HierarchyFlags::from_bits_truncate(service!(self.port, hierarchy_flags, css.number()))
    }

    fn counter(&self, css: Css, rule: usize) -> Counter {
        let mut counter = abi::RawCounter::default();
        let answer = service!(self.port, counter, css.number(), rule as u32, &raw mut counter);
        assert_eq!(answer, 0, "css {} has no counter for rule {rule}", css.number());
        let abi::RawCounter { usage, limit, peak, failures, refused } = counter;
        Counter { usage, limit, peak, failures, refused }
    }

    fn set_limit(&mut self, css: Css, rule: usize, limit: u64) -> Result<()> {
        let answer = service!(self.port, set_limit, css.number(), rule as u32, limit);
        self.checked(answer, |errno| RemoteServices::cannot(errno, Capability::ForkVeto))
    }

    /// The css is the callback's: one announcement counts for all css of the subsystem.
    fn set_may_refuse_fork(&mut self, _: Css, refusing: bool) -> Result<()> {
        let answer = service!(self.port, set_refusing, refusing.into());
        self.checked(answer, |errno| RemoteServices::cannot(errno, Capability::ForkVeto))
    }

    fn reset_peak(&mut self, css: Css, rule: usize) {
        let answer = service!(self.port, reset_peak, css.number(), rule as u32);
        assert_eq!(answer, 0, "css {} has no counter for rule {rule}", css.number());
    }

    fn cpu_usage(&self, css: Css) -> CpuUsage {
        let times = list(|list, capacity| service!(self.port, cpu_usage, css.number(), list, capacity));
        times.into_iter().map(|abi::RawCpuTime { user, system }| CpuTime { user, system }).collect()
    }

    fn reset_cpu_usage(&mut self, css: Css) {
        let answer = service!(self.port, reset_cpu_usage, css.number());
        assert_eq!(answer, 0, "css {} counts no CPU time", css.number());
    }

    fn caller(&self) -> Option<&Caller> {
        self.caller.get_or_init(|| self.fetch_caller()).as_ref()
    }

    fn require(&mut self, need: Capability) -> Result<()> {
        let number = match need {
            Capability::ForkVeto => abi::NEED_FORK_VETO,
            Capability::Affinity => abi::NEED_AFFINITY,
            Capability::MemoryNodes => abi::NEED_MEMORY_NODES,
            Capability::Freeze => abi::NEED_FREEZE,
            Capability::SocketClass => abi::NEED_SOCKET_CLASS,
            _ => return Err(RemoteServices::cannot(Errno::EOPNOTSUPP, need)),
        };
        let answer = service!(self.port, require, number);
        self.checked(answer, |errno| RemoteServices::cannot(errno, need))
    }

    fn task(&self, task: Tid) -> Option<TaskFacts> {
        let mut facts = abi::RawTaskFacts::default();
        if service!(self.port, task, task.0, &raw mut facts) != 0 {
            return None;
        }
        let mut task = TaskFacts::new(Tid(facts.group), facts.real_uid);
        task.saved_uid = facts.saved_uid;
        task.movable = facts.movable != 0;
        task.exiting = facts.exiting != 0;
        task.forking = facts.forking != 0;
        Some(task)
    }

    fn threads_of(&self, group: Tid) -> Vec<Tid> {
        tids(list(|list, capacity| service!(self.port, threads, group.0, list, capacity)))
    }

    fn now(&self) -> u64 {
        service!(self.port, now)
    }

    fn cpus(&self) -> IndexSet {
        IndexSet::from_words(&list(|list, capacity| service!(self.port, cpus, list, capacity)))
    }

    fn memory_nodes(&self) -> IndexSet {
        IndexSet::from_words(&list(|list, capacity| service!(self.port, memory_nodes, list, capacity)))
    }

    fn cpu_limit(&self) -> usize {
        service!(self.port, cpu_limit)
    }

    fn node_limit(&self) -> usize {
        service!(self.port, node_limit)
    }

    fn set_affinity(&mut self, task: Tid, cpus: &IndexSet) -> Result<(), Errno> {
        let cpus = cpus.to_words();
        plain(service!(self.port, set_affinity, task.0, cpus.as_ptr(), cpus.len()))
    }

    fn set_memory_nodes(
        &mut self,
        task: Tid,
        from: &IndexSet,
        to: &IndexSet,
        existing: ExistingPages,
    ) -> Result<(), Errno> {
        let (from, to) = (from.to_words(), to.to_words());
        plain(service!(
            self.port,
            set_memory_nodes,
            task.0,
            from.as_ptr(),
            from.len(),
            to.as_ptr(),
            to.len(),
            (existing == ExistingPages::Move).into()
        ))
    }

    fn freeze(&mut self, task: Tid) {
        service!(self.port, freeze, task.0);
    }

    fn thaw(&mut self, task: Tid) {
        service!(self.port, thaw, task.0);
    }

    fn is_frozen(&self, task: Tid) -> bool {
        service!(self.port, is_frozen, task.0) != 0
    }

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        plain(service!(self.port, set_socket_class, task.0, class))
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        plain(service!(self.port, signal, task.0, signal))
    }

    fn engine_view(&self, _: Css) -> Option<EngineView<'_>> {
        None
    }
}
