//! A loaded subsystem in its slot of the engine, with its types erased.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use slab::Slab;

use crate::control_file::{ControlFile, ControlFileFacts};
use crate::counter::{Counter, CpuUsage, Resource, Rule, UNLIMITED};
use crate::engine_services::EngineServices;
use crate::host::Host;
use crate::ids::{CgroupId, Css, FileId};
use crate::instance::{Instance, Loaded};
use crate::services::Services;
use crate::subsystem::{Callbacks, Subsystem};
use crate::task::Caller;
use crate::tree::Tree;

/// The most subsystems that can be loaded at one time: the width of the masks (E1.3).
pub const SLOTS: usize = 64;

/// The part of a css that core keeps.
pub(crate) struct CssEntry {
    pub(crate) cgroup: CgroupId,
    pub(crate) parent: Option<Css>,
    /// The number of forks in this css that the subsystem's `can_fork` has refused.
    pub(crate) refused: u64,
}

/// A loaded subsystem.
pub(crate) struct Slot {
    pub(crate) name: Cow<'static, str>,
    pub(crate) callbacks: Callbacks,
    pub(crate) rules: Vec<Rule>,
    pub(crate) files: Vec<ControlFileFacts>,
    /// The control file that makes the subsystem's `can_fork` refuse.
    pub(crate) refusal_file: Cow<'static, str>,
    /// The index of the hierarchy that the subsystem is bound to; 0 is the dummy one.
    pub(crate) hierarchy: usize,
    /// True if the subsystem's `can_fork` may refuse now. The engine's count of limits includes this.
    pub(crate) may_refuse_fork: bool,
    /// The engine's epoch at the load. A fork charge from before does not cover the subsystem.
    pub(crate) loaded_at: u64,
    pub(crate) css: Slab<CssEntry>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) cpu: Vec<CpuUsage>,
    pub(crate) instance: alloc::boxed::Box<dyn Instance>,
}

impl Slot {
    pub(crate) fn new<S: Subsystem>(subsystem: S, loaded_at: u64) -> Slot {
        let loaded = Loaded::new(subsystem);
        Slot {
            name: Cow::Owned(loaded.subsystem().name().into()),
            callbacks: loaded.subsystem().callbacks(),
            rules: loaded.subsystem().rules(),
            files: loaded.files().iter().map(ControlFile::describe).collect(),
            refusal_file: loaded.subsystem().refusal_file(),
            hierarchy: 0,
            may_refuse_fork: false,
            loaded_at,
            css: Slab::new(),
            counters: Vec::new(),
            cpu: Vec::new(),
            instance: alloc::boxed::Box::new(loaded),
        }
    }

    /// The id of file number `file`, which differs from those of earlier subsystems in the slot.
    pub(crate) fn file_id(&self, slot: usize, file: usize) -> FileId {
        FileId::Subsystem { slot: slot as u8, file: file as u16, loaded: self.loaded_at as u32 }
    }

    /// The full name of a control file from its bare one; the subsystem's name if it is empty.
    pub(crate) fn limit_file(&self, bare: &str) -> String {
        if bare.is_empty() { String::from(&*self.name) } else { format!("{}.{bare}", self.name) }
    }

    pub(crate) fn counts(&self, resource: Resource) -> bool {
        self.rules.iter().any(|rule| rule.resource == resource)
    }

    /// Allocates the number of a new css, with fresh counters.
    pub(crate) fn allocate(&mut self, cgroup: CgroupId, parent: Option<Css>) -> Css {
        let index = self.css.insert(CssEntry { cgroup, parent, refused: 0 });
        let first = index * self.rules.len();
        self.counters.resize(self.counters.len().max(first + self.rules.len()), Counter::default());
        self.counters[first..first + self.rules.len()].fill(Counter::default());
        if self.counts(Resource::CpuTime) {
            self.cpu.resize(self.cpu.len().max(index + 1), CpuUsage::default());
            self.cpu[index].reset();
        }
        Css(index as u32)
    }

    /// Frees the number of a css. `limits` is the engine's count of finite limits.
    pub(crate) fn release(&mut self, css: Css, limits: &mut usize) {
        let first = css.0 as usize * self.rules.len();
        for (rule, counter) in self.rules.iter().zip(&mut self.counters[first..]) {
            let forks = matches!(rule.resource, Resource::Tasks | Resource::Forks);
            *limits -= usize::from(forks && counter.limit != UNLIMITED);
            *counter = Counter::default();
        }
        self.css.remove(css.0 as usize);
    }

    /// Undoes `Context::set_may_refuse_fork` for a subsystem that is being unloaded.
    pub(crate) fn clear_may_refuse_fork(&mut self, limits: &mut usize) {
        *limits -= usize::from(core::mem::take(&mut self.may_refuse_fork));
    }

    pub(crate) fn call<R>(
        &mut self,
        tree: &Tree,
        limits: &mut usize,
        slot: usize,
        host: &mut dyn Host,
        caller: Option<&Caller>,
        callback: impl FnOnce(&mut dyn Instance, &mut dyn Services) -> R,
    ) -> R {
        let mut services = EngineServices {
            tree,
            css: &self.css,
            counters: &mut self.counters,
            cpu: &mut self.cpu,
            rules: &self.rules,
            limits,
            may_refuse_fork: &mut self.may_refuse_fork,
            slot,
            host,
            caller,
        };
        callback(&mut *self.instance, &mut services)
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

    /// True if [`Slot::try_charge`] would succeed.
    pub(crate) fn would_pass(&self, css: Css, rule: usize, amount: u64) -> bool {
        let mut levels = core::iter::successors(Some(css), |&at| self.css[at.0 as usize].parent);
        levels.all(|at| self.level_would_pass(at, rule, amount))
    }

    /// True if the counter of this css alone would let the charge pass.
    pub(crate) fn level_would_pass(&self, css: Css, rule: usize, amount: u64) -> bool {
        let counter = &self.counters[css.0 as usize * self.rules.len() + rule];
        counter.usage.saturating_add(amount) <= counter.limit
    }

    /// True if there is a limit on tasks or forks in this css or above.
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

    /// Charges rule number `rule` from `css` up to the root, without regard to limits.
    pub(crate) fn charge(&mut self, css: Css, rule: usize, amount: u64) {
        let mut at = Some(css);
        while let Some(here) = at {
            self.counter(here, rule).charge(amount);
            at = self.css[here.0 as usize].parent;
        }
    }

    /// Takes a charge back, from `css` up to the root.
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
