//! The host's part of each task's entry, and its state beside the tasks: the machine, and the capabilities that rules
//! can use.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use penfold_core::{
    CssSetId, Errno, ForkCharge, Tid,
    host::{Capability, IndexSet},
    subsystem::CpuTime,
};

use crate::trace::os::marking::Marking;
use crate::trace::os::sched;
use crate::trace::tracer::table::{CssSetMap, TaskTable, TidSet};

/// The name of this host in messages.
pub(crate) const NAME: &str = "trace";

/// The host's part of a task's entry.
#[derive(Debug, Default)]
pub struct Member {
    /// The css_set of the task; `None` until it is placed.
    pub(crate) set: Option<CssSetId>,
    /// A fork of the task that was charged and has neither succeeded nor failed.
    pub(crate) charge: Option<ForkCharge>,
    /// The CPUs that the cgroup permits, as last set. Children inherit them as they inherit affinity.
    pub(crate) allowed: Option<Arc<IndexSet>>,
    /// The class of the task's sockets, inherited by children; 0 for none.
    pub(crate) class: u32,
}

/// The task table of an engine.
pub(crate) type EngineTasks = TaskTable<Member, Machine>;

/// The host's state beside the tasks.
#[derive(Debug)]
pub struct Machine {
    /// The tasks of each css_set.
    pub(crate) members: CssSetMap<TidSet>,
    /// The capabilities that the job needs so far, until its start.
    wanted: Vec<Capability>,
    reserved: Option<Vec<Capability>>,
    best_effort: bool,
    /// Descriptions of the capabilities that are missing where best effort ignored that.
    pub(crate) warnings: Vec<String>,
    pub(crate) cpus: IndexSet,
    pub(crate) cpu_limit: usize,
    pub(crate) nodes: IndexSet,
    pub(crate) began: Instant,
    pub(crate) marking: Marking,
    /// CPU time that requests have sampled, for the statistics.
    pub(crate) sampled_time: CpuTime,
    /// The processes whose CPU time was read for the request under way: once each, however many threads move.
    pub(crate) sampled: HashSet<Tid>,
    /// The processes of which threads moved in the request.
    pub(crate) moved: HashSet<Tid>,
    /// The processes that are to get a filter for a capability: their threads are visited once for it.
    pub(crate) filtered: HashSet<(Tid, Capability)>,
    /// Whether the roots have every task of the machine, as those of a daemon.
    pub(crate) lists_all_tasks: bool,
}

impl Machine {
    /// The state of a job that is not yet started.
    pub(crate) fn new(best_effort: bool) -> Machine {
        let cpus = sched::affinity(Tid(0)).unwrap_or_else(|_| IndexSet::single(0));
        let possible = list("/sys/devices/system/cpu/possible", 1 << 16);
        let cpu_limit =
            possible.or_else(|| Some(cpus.clone())).and_then(|mask| mask.last()).map_or(1, |last| last + 1);
        Machine {
            members: CssSetMap::default(),
            wanted: Vec::new(),
            reserved: None,
            best_effort,
            warnings: Vec::new(),
            cpus,
            cpu_limit,
            nodes: list("/sys/devices/system/node/online", 1024).unwrap_or_else(|| IndexSet::single(0)),
            began: Instant::now(),
            marking: Marking::detect(),
            sampled_time: CpuTime::default(),
            sampled: HashSet::new(),
            moved: HashSet::new(),
            filtered: HashSet::new(),
            lists_all_tasks: false,
        }
    }

    /// Whether the job will have this capability.
    pub(crate) fn wants(&self, need: Capability) -> bool {
        self.wanted.contains(&need)
    }

    /// Reserves a capability for rules that will only be set while the job runs.
    pub(crate) fn reserve(&mut self, need: Capability) {
        if !self.wanted.contains(&need) {
            self.wanted.push(need);
        }
    }

    /// Whether sockets can get a class, with best effort if need be.
    pub(crate) fn can_mark(&self) -> bool {
        self.best_effort || self.marking == Marking::Full
    }

    /// Fixes the capabilities: from now on only the reserved ones can be used. With `later` also those that need no
    /// more than a filter in processes that run already.
    pub(crate) fn seal_needs(&mut self, later: bool) {
        if later {
            self.reserve(Capability::ForkVeto);
            self.reserve(Capability::Affinity);
            if self.can_mark() {
                self.reserve(Capability::SocketClass);
            }
        }
        self.reserved = Some(self.wanted.clone());
    }

    pub(crate) fn best_effort(&self) -> bool {
        self.best_effort
    }

    /// Whether a capability can be used from now on; otherwise the reason why not. Before the start it is reserved.
    pub(crate) fn require(&mut self, need: Capability) -> Result<(), &'static str> {
        if self.reserved.is_none() {
            self.reserve(need);
        }
        let Err(reason) = self.check(need) else { return Ok(()) };
        if self.best_effort {
            self.warnings.push(format!("{need} is not given here: {reason}"));
            return Ok(());
        }
        Err(reason)
    }

    fn check(&self, need: Capability) -> Result<(), &'static str> {
        match need {
            Capability::Freeze => Ok(()),
            Capability::MemoryNodes => {
                Err("a tracer can't bind the memory of another process to nodes; the bpf host can't \
                either, only the kernel's own cpuset")
            }
            Capability::SocketClass if self.marking == Marking::Weak => Err(
                "marking sockets needs CAP_NET_ADMIN; with best effort they get the class's minor number as priority \
                 (at most 6) and as DSCP",
            ),
            Capability::ForkVeto | Capability::Affinity | Capability::SocketClass => match &self.reserved {
                Some(reserved) if !reserved.contains(&need) => Err(
                    "the job was started without the system call filter for it; set a rule that needs it before \
                        the job starts",
                ),
                _ => Ok(()),
            },
            _ => Err("this host does not know of it"),
        }
    }

    /// Notes that a task moves from one css_set to another. Without `from` it is new, without `to` it is gone.
    pub(crate) fn move_member(&mut self, task: Tid, from: Option<CssSetId>, to: Option<CssSetId>) {
        if let Some(from) = from
            && let Some(members) = self.members.get_mut(&from)
        {
            members.remove(&task);
            if members.is_empty() {
                self.members.remove(&from);
            }
        }
        if let Some(to) = to {
            self.members.entry(to).or_default().insert(task);
        }
    }
}

fn list(path: &str, limit: usize) -> Option<IndexSet> {
    IndexSet::parse_list(&fs::read_to_string(path).ok()?, limit).ok()
}

pub(crate) fn core_errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_number(errno as i32).unwrap_or(Errno::EIO)
}

pub(crate) fn nix_errno(errno: Errno) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(errno.number())
}
