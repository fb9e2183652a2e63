//! A loaded subsystem with its types erased, in its slot of the engine.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use slab::Slab;

use crate::counter::{Counter, CpuUsage, Resource, Rule, UNLIMITED};
use crate::error::Result;
use crate::file::{File, FileFacts};
use crate::host::Host;
use crate::ids::{CgroupId, Css, FileId};
use crate::subsystem::{Callbacks, Context, Migration, Subsystem};
use crate::task::{Caller, Tid};
use crate::tree::Tree;

/// How many subsystems can be loaded at once: the width of the masks (E1.3).
pub const SLOTS: usize = 64;

/// Core's own part of a css.
pub(crate) struct CssEntry {
    pub(crate) cgroup: CgroupId,
    pub(crate) parent: Option<Css>,
}

/// What every callback gets, whatever its subsystem's type.
pub(crate) struct Env<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) css: &'a Slab<CssEntry>,
    pub(crate) counters: &'a mut Vec<Counter>,
    pub(crate) cpu: &'a mut Vec<CpuUsage>,
    pub(crate) rules: &'a [Rule],
    pub(crate) limits: &'a mut usize,
    pub(crate) refusing: &'a mut bool,
    pub(crate) slot: usize,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) caller: Option<&'a Caller>,
}

impl Env<'_> {
    /// The same for a shorter time, so that it fits beside a borrow of the states.
    fn shorten(&mut self) -> Env<'_> {
        Env {
            tree: self.tree,
            css: self.css,
            counters: self.counters,
            cpu: self.cpu,
            rules: self.rules,
            limits: self.limits,
            refusing: self.refusing,
            slot: self.slot,
            host: self.host,
            caller: self.caller,
        }
    }
}

/// A loaded subsystem.
pub(crate) struct Slot {
    pub(crate) name: Cow<'static, str>,
    pub(crate) callbacks: Callbacks,
    pub(crate) rules: Vec<Rule>,
    pub(crate) files: Vec<FileFacts>,
    /// The control file that makes its `can_fork` refuse.
    pub(crate) refusing_file: &'static str,
    /// Index of the hierarchy it is bound to; 0 is the dummy one.
    pub(crate) hierarchy: usize,
    /// Its `can_fork` may refuse now; counted in the engine's limits.
    pub(crate) refusing: bool,
    /// The engine's epoch when it was loaded: a fork charge taken before does not cover it.
    pub(crate) loaded_at: u64,
    pub(crate) css: Slab<CssEntry>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) cpu: Vec<CpuUsage>,
    pub(crate) erased: alloc::boxed::Box<dyn Erased>,
}

impl Slot {
    pub(crate) fn new<S: Subsystem>(subsystem: S, loaded_at: u64) -> Slot {
        let loaded = Loaded { files: subsystem.files(), states: Vec::new(), subsystem };
        Slot {
            name: Cow::Owned(loaded.subsystem.name().into()),
            callbacks: loaded.subsystem.callbacks(),
            rules: loaded.subsystem.rules(),
            files: loaded.files.iter().map(File::describe).collect(),
            refusing_file: loaded.subsystem.refusing_file(),
            hierarchy: 0,
            refusing: false,
            loaded_at,
            css: Slab::new(),
            counters: Vec::new(),
            cpu: Vec::new(),
            erased: alloc::boxed::Box::new(loaded),
        }
    }

    /// The id of file number `file`, with what tells it from a file of an earlier subsystem in the slot.
    pub(crate) fn file_id(&self, slot: usize, file: usize) -> FileId {
        FileId::Subsystem { slot: slot as u8, file: file as u16, loaded: self.loaded_at as u32 }
    }

    pub(crate) fn counts(&self, resource: Resource) -> bool {
        self.rules.iter().any(|rule| rule.resource == resource)
    }

    /// Takes a number for a new css, with fresh counters.
    pub(crate) fn allocate(&mut self, cgroup: CgroupId, parent: Option<Css>) -> Css {
        let index = self.css.insert(CssEntry { cgroup, parent });
        let first = index * self.rules.len();
        self.counters.resize(self.counters.len().max(first + self.rules.len()), Counter::default());
        self.counters[first..first + self.rules.len()].fill(Counter::default());
        if self.counts(Resource::CpuTime) {
            self.cpu.resize(self.cpu.len().max(index + 1), CpuUsage::default());
            self.cpu[index].reset();
        }
        Css(index as u32)
    }

    /// Gives the number back; `limits` is the engine's count of finite limits.
    pub(crate) fn release(&mut self, css: Css, limits: &mut usize) {
        let first = css.0 as usize * self.rules.len();
        for (rule, counter) in self.rules.iter().zip(&mut self.counters[first..]) {
            let forks = matches!(rule.resource, Resource::Tasks | Resource::Forks);
            *limits -= usize::from(forks && counter.limit != UNLIMITED);
            *counter = Counter::default();
        }
        self.css.remove(css.0 as usize);
    }

    /// Takes back what `Context::set_refusing` said: the subsystem goes.
    pub(crate) fn stop_refusing(&mut self, limits: &mut usize) {
        *limits -= usize::from(core::mem::take(&mut self.refusing));
    }

    pub(crate) fn call<R>(
        &mut self,
        tree: &Tree,
        limits: &mut usize,
        slot: usize,
        host: &mut dyn Host,
        caller: Option<&Caller>,
        callback: impl FnOnce(&mut dyn Erased, Env<'_>) -> R,
    ) -> R {
        let env = Env {
            tree,
            css: &self.css,
            counters: &mut self.counters,
            cpu: &mut self.cpu,
            rules: &self.rules,
            limits,
            refusing: &mut self.refusing,
            slot,
            host,
            caller,
        };
        callback(&mut *self.erased, env)
    }

    /// Charges rule number `rule` from `css` up to the root, all or nothing.
    pub(crate) fn try_charge(&mut self, css: Css, rule: usize, amount: u64) -> bool {
        let mut at = Some(css);
        while let Some(here) = at {
            if !self.counter(here, rule).try_charge(amount) {
                self.uncharge_until(css, Some(here), rule, amount);
                self.counter(css, rule).refused += 1;
                return false;
            }
            at = self.css[here.0 as usize].parent;
        }
        true
    }

    /// Would [`Slot::try_charge`] succeed?
    pub(crate) fn would_pass(&self, css: Css, rule: usize, amount: u64) -> bool {
        let mut levels = core::iter::successors(Some(css), |&at| self.css[at.0 as usize].parent);
        levels.all(|at| self.level_would_pass(at, rule, amount))
    }

    /// The same for this level alone.
    pub(crate) fn level_would_pass(&self, css: Css, rule: usize, amount: u64) -> bool {
        let counter = &self.counters[css.0 as usize * self.rules.len() + rule];
        counter.usage.saturating_add(amount) <= counter.limit
    }

    /// Is there a limit on tasks or forks here or above?
    pub(crate) fn limits_forks(&self, css: Css) -> bool {
        let mut levels = core::iter::successors(Some(css), |&at| self.css[at.0 as usize].parent);
        levels.any(|at| {
            let counters = &self.counters[at.0 as usize * self.rules.len()..][..self.rules.len()];
            let mut rules = self.rules.iter().zip(counters);
            rules.any(|(rule, counter)| {
                matches!(rule.resource, Resource::Tasks | Resource::Forks) && counter.limit != UNLIMITED
            })
        })
    }

    /// Charges whatever the limits say.
    pub(crate) fn charge(&mut self, css: Css, rule: usize, amount: u64) {
        let mut at = Some(css);
        while let Some(here) = at {
            self.counter(here, rule).charge(amount);
            at = self.css[here.0 as usize].parent;
        }
    }

    /// Gives a charge back, from `css` up to the root.
    pub(crate) fn uncharge(&mut self, css: Css, rule: usize, amount: u64) {
        self.uncharge_until(css, None, rule, amount);
    }

    fn uncharge_until(&mut self, css: Css, end: Option<Css>, rule: usize, amount: u64) {
        let mut at = Some(css);
        while at != end
            && let Some(here) = at
        {
            self.counter(here, rule).uncharge(amount);
            at = self.css[here.0 as usize].parent;
        }
    }

    #[inline]
    fn counter(&mut self, css: Css, rule: usize) -> &mut Counter {
        let index = css.0 as usize * self.rules.len() + rule;
        &mut self.counters[index]
    }
}

/// A subsystem behind one type.
pub(crate) trait Erased: Send {
    fn create(&mut self, env: Env<'_>, css: Css) -> Result<()>;
    fn destroy(&mut self, env: Env<'_>, css: Css);
    fn pre_destroy(&mut self, env: Env<'_>, css: Css) -> Result<()>;
    fn can_attach(&mut self, env: Env<'_>, tasks: &[Migration]) -> Result<()>;
    fn cancel_attach(&mut self, env: Env<'_>, tasks: &[Migration]);
    fn attach(&mut self, env: Env<'_>, tasks: &[Migration]);
    fn can_fork(&mut self, env: Env<'_>, css: Css, parent: Tid) -> Result<()>;
    fn cancel_fork(&mut self, env: Env<'_>, css: Css);
    fn fork(&mut self, env: Env<'_>, css: Css, child: Tid);
    fn exit(&mut self, env: Env<'_>, css: Css, task: Tid);
    fn post_clone(&mut self, env: Env<'_>, css: Css);
    fn bind(&mut self, env: Env<'_>, css: Css);
    fn read(&mut self, env: Env<'_>, css: Css, file: usize, out: &mut String) -> Result<()>;
    fn write(&mut self, env: Env<'_>, css: Css, file: usize, content: &[u8]) -> Result<()>;
}

struct Loaded<S: Subsystem> {
    subsystem: S,
    files: Vec<File<S>>,
    states: Vec<Option<S::State>>,
}

impl<S: Subsystem> Loaded<S> {
    fn with<R>(
        &mut self,
        mut env: Env<'_>,
        css: Css,
        callback: impl FnOnce(&mut S, &mut Context<'_, S>) -> R,
    ) -> R {
        let env = env.shorten();
        callback(&mut self.subsystem, &mut Context { states: &mut self.states, css, private: 0, env })
    }

    /// The css that an attach is about: where the first task goes.
    fn destination(tasks: &[Migration]) -> Css {
        tasks.first().map_or(Css(0), |first| first.to)
    }
}

impl<S: Subsystem> Erased for Loaded<S> {
    fn create(&mut self, env: Env<'_>, css: Css) -> Result<()> {
        let state = self.with(env, css, S::create)?;
        let index = css.0 as usize;
        if self.states.len() <= index {
            self.states.resize_with(index + 1, || None);
        }
        self.states[index] = Some(state);
        Ok(())
    }

    fn destroy(&mut self, env: Env<'_>, css: Css) {
        self.with(env, css, S::destroy);
        self.states[css.0 as usize] = None;
    }

    fn pre_destroy(&mut self, env: Env<'_>, css: Css) -> Result<()> {
        self.with(env, css, S::pre_destroy)
    }

    fn can_attach(&mut self, env: Env<'_>, tasks: &[Migration]) -> Result<()> {
        self.with(env, Self::destination(tasks), |subsystem, ctx| subsystem.can_attach(ctx, tasks))
    }

    fn cancel_attach(&mut self, env: Env<'_>, tasks: &[Migration]) {
        self.with(env, Self::destination(tasks), |subsystem, ctx| subsystem.cancel_attach(ctx, tasks));
    }

    fn attach(&mut self, env: Env<'_>, tasks: &[Migration]) {
        self.with(env, Self::destination(tasks), |subsystem, ctx| subsystem.attach(ctx, tasks));
    }

    fn can_fork(&mut self, env: Env<'_>, css: Css, parent: Tid) -> Result<()> {
        self.with(env, css, |subsystem, ctx| subsystem.can_fork(ctx, parent))
    }

    fn cancel_fork(&mut self, env: Env<'_>, css: Css) {
        self.with(env, css, S::cancel_fork);
    }

    fn fork(&mut self, env: Env<'_>, css: Css, child: Tid) {
        self.with(env, css, |subsystem, ctx| subsystem.fork(ctx, child));
    }

    fn exit(&mut self, env: Env<'_>, css: Css, task: Tid) {
        self.with(env, css, |subsystem, ctx| subsystem.exit(ctx, task));
    }

    fn post_clone(&mut self, env: Env<'_>, css: Css) {
        self.with(env, css, S::post_clone);
    }

    fn bind(&mut self, env: Env<'_>, css: Css) {
        self.with(env, css, S::bind);
    }

    fn read(&mut self, mut env: Env<'_>, css: Css, file: usize, out: &mut String) -> Result<()> {
        let env = env.shorten();
        let Loaded { subsystem, files, states } = self;
        let file = &files[file];
        file.read_into(subsystem, &mut Context { states, css, private: file.private, env }, out)
    }

    fn write(&mut self, mut env: Env<'_>, css: Css, file: usize, content: &[u8]) -> Result<()> {
        let env = env.shorten();
        let Loaded { subsystem, files, states } = self;
        let file = &files[file];
        file.write_from(subsystem, &mut Context { states, css, private: file.private, env }, content)
    }
}
