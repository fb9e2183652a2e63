//! What the host keeps of a task, and what it keeps beside the tasks: the machine, and what can be given to rules.

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

/// What the host keeps of a task, in the tracer's own entry.
#[derive(Debug, Default)]
pub struct Member {
    /// Where it is; `None` until it is placed.
    pub(crate) set: Option<CssSetId>,
    /// A fork of it that was charged and is not decided.
    pub(crate) charge: Option<ForkCharge>,
    /// The CPUs that its cgroup lets it have, as last set; inherited by children as the OS inherits affinity.
    pub(crate) allowed: Option<Arc<IndexSet>>,
    /// The class of its sockets, inherited by children; 0 for none.
    pub(crate) class: u32,
}

/// The tasks of an engine.
pub(crate) type EngineTasks = TaskTable<Member, Machine>;

/// What is kept beside the tasks.
#[derive(Debug)]
pub struct Machine {
    /// The tasks of each css_set.
    pub(crate) members: CssSetMap<TidSet>,
    /// What the job needs so far; fixed when it starts.
    wanted: Vec<Capability>,
    reserved: Option<Vec<Capability>>,
    best_effort: bool,
    /// What could not be given and was let pass, in words.
    pub(crate) warnings: Vec<String>,
    pub(crate) cpus: IndexSet,
    pub(crate) cpu_limit: usize,
    pub(crate) nodes: IndexSet,
    pub(crate) began: Instant,
    pub(crate) marking: Marking,
    /// CPU time that requests have found, for the statistics.
    pub(crate) sampled_time: CpuTime,
    /// The processes whose CPU time was read for the request under way: once each, however many threads move.
    pub(crate) sampled: HashSet<Tid>,
    /// Those of which threads moved in it.
    pub(crate) moved: HashSet<Tid>,
    /// Those that are to get a filter for a need: their threads are gone through once for it.
    pub(crate) filtered: HashSet<(Tid, Capability)>,
}

impl Machine {
    /// Of a job that is still to be started.
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
        }
    }

    /// Will the job be able to meet this need?
    pub(crate) fn wants(&self, need: Capability) -> bool {
        self.wanted.contains(&need)
    }

    /// Notes a need ahead of time, for rules that will only be set while the job runs.
    pub(crate) fn reserve(&mut self, need: Capability) {
        if !self.wanted.contains(&need) {
            self.wanted.push(need);
        }
    }

    /// Can sockets be given a class, with best effort if need be?
    pub(crate) fn can_mark(&self) -> bool {
        self.best_effort || self.marking == Marking::Full
    }

    /// From now on only what was wanted can be given, and with `later` also what can be seen to by putting a filter into
    /// processes that run already.
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

    /// Whether a need can be met from now on, else why not. Before the start it is noted.
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
        }
    }

    /// A task goes from one css_set to another, or comes or goes altogether.
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
