//! The tasks of a job as core sees them, and what was arranged for at its start.
//!
//! This is the [`Host`] of callbacks that run while the supervisor is busy with one stop (fork, exit), and of the time
//! before the job starts. Requests of other threads get the larger [`View`](super::view::View).

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use penfold_core::{CannotGive, CssSetId, Errno, ForkCharge, Host, HostView, Mask, Need, TaskFacts, Tid};

use super::sockets::{self, Marking};
use super::{inject, sys};

/// The name of this host in messages.
pub(super) const NAME: &str = "trace";

/// A task's place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) set: CssSetId,
    pub(super) group: Tid,
    /// It has a filter of ours.
    pub(super) ours: bool,
    /// Its forks are asked for.
    pub(super) filtered: bool,
    /// A fork of it that was charged and is not decided.
    pub(super) charge: Option<ForkCharge>,
    /// The CPUs that its cgroup lets it have, as last told; inherited by children as the OS inherits affinity.
    pub(super) allowed: Option<Arc<Mask>>,
    /// The class of its sockets, inherited by children; 0 for none.
    pub(super) class: u32,
}

/// What a job was started with: a filter can't be added to a running process from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arranged(Vec<Need>);

/// All tasks of one job.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) placed: HashMap<Tid, Placed>,
    /// Born into a frozen cgroup: to be held at the first stop.
    pub(super) born_frozen: Vec<Tid>,
    /// What the job needs so far; fixed when it starts.
    wanted: Vec<Need>,
    arranged: Option<Arranged>,
    /// What is launched has its forks asked for.
    vetoes: bool,
    best_effort: bool,
    /// What could not be given and was let pass, in words.
    pub(super) warnings: Vec<String>,
    cpus: Mask,
    cpu_limit: usize,
    nodes: Mask,
    began: Instant,
    pub(super) marking: Marking,
}

impl Tasks {
    /// The tasks of a job that is still to be started.
    pub(super) fn new(best_effort: bool) -> Tasks {
        let cpus = sys::affinity(0).unwrap_or_else(|_| Mask::single(0));
        let possible = list("/sys/devices/system/cpu/possible", 1 << 16);
        let cpu_limit =
            possible.or_else(|| Some(cpus.clone())).and_then(|mask| mask.last()).map_or(1, |last| last + 1);
        Tasks {
            placed: HashMap::new(),
            born_frozen: Vec::new(),
            wanted: Vec::new(),
            arranged: None,
            vetoes: true,
            best_effort,
            warnings: Vec::new(),
            cpus,
            cpu_limit,
            nodes: list("/sys/devices/system/node/online", 1024).unwrap_or_else(|| Mask::single(0)),
            began: Instant::now(),
            marking: Marking::possible(),
        }
    }

    /// Will the job be able to meet this need?
    pub(super) fn wants(&self, need: Need) -> bool {
        self.wanted.contains(&need)
    }

    /// Notes a need ahead of time, for rules that will only be set while the job runs.
    pub(super) fn arrange(&mut self, need: Need) {
        if !self.wanted.contains(&need) {
            self.wanted.push(need);
        }
    }

    /// Can sockets be given a class, with best effort if need be?
    pub(super) fn can_mark(&self) -> bool {
        self.best_effort || self.marking == Marking::Full
    }

    /// Can what a task does be seen to that need, with a filter put in if there is none?
    pub(super) fn can_filter(&self, task: Tid) -> bool {
        self.placed.get(&task).is_some_and(|placed| inject::possible(task.0, placed.ours).is_ok())
    }

    pub(super) fn note_allowed(&mut self, task: Tid, cpus: &Mask) {
        if let Some(placed) = self.placed.get_mut(&task) {
            placed.allowed = Some(Arc::new(cpus.clone()));
        }
    }

    /// From now on only what was wanted can be given, and with `later` also what can be seen to by putting a filter into
    /// processes that run already. `vetoes` tells whether the job's first process has its forks asked for.
    pub(super) fn freeze_arrangement(&mut self, vetoes: bool, later: bool) {
        self.vetoes = vetoes;
        if later {
            self.arrange(Need::ForkVeto);
            self.arrange(Need::Affinity);
            if self.can_mark() {
                self.arrange(Need::SocketClass);
            }
        }
        self.arranged = Some(Arranged(self.wanted.clone()));
    }

    fn check(&self, need: Need) -> Result<(), &'static str> {
        match need {
            Need::Freeze => Ok(()),
            Need::MemoryNodes => {
                Err("a tracer can't bind the memory of another process to nodes; the bpf host can't \
                either, only the kernel's own cpuset")
            }
            Need::SocketClass if self.marking == Marking::Weak => Err(
                "marking sockets needs CAP_NET_ADMIN; with best effort they get the class's minor number as priority \
                 (at most 6) and as DSCP",
            ),
            Need::ForkVeto | Need::Affinity | Need::SocketClass => match &self.arranged {
                Some(arranged) if !arranged.0.contains(&need) => Err(
                    "the job was started without the system call filter for it; set a rule that needs it before \
                        the job starts",
                ),
                _ => Ok(()),
            },
        }
    }
}

fn list(path: &str, limit: usize) -> Option<Mask> {
    Mask::parse_list(&fs::read_to_string(path).ok()?, limit).ok()
}

pub(super) fn core_errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_number(errno as i32).unwrap_or(Errno::EIO)
}

pub(super) fn nix_errno(errno: Errno) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(errno.number())
}

impl HostView for Tasks {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        let placed = self.placed.get(&task)?;
        // A thread that has executed a program has its leader's number before its stop is seen. Left out of a move
        // because its own is gone, it would have the whole process go on where it was.
        let ids = sys::status_field(task.0, "Uid").or_else(|| sys::status_field(placed.group.0, "Uid"))?;
        let mut ids = ids.split_whitespace().filter_map(|id| id.parse().ok());
        // real, effective, saved, file system
        let (real_uid, saved_uid) = (ids.next()?, ids.nth(1)?);
        Some(TaskFacts {
            group: placed.group,
            real_uid,
            saved_uid,
            movable: true,
            exiting: false,
            forking: placed.charge.is_some(),
        })
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        self.placed.get(&task).map(|placed| placed.set)
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        self.placed.iter().filter(|(_, placed)| placed.set == set).for_each(|(&task, _)| visit(task));
    }

    fn for_every_task(&self, _: &[CssSetId], visit: &mut dyn FnMut(Tid)) {
        self.placed.keys().copied().for_each(visit);
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        if self.placed.contains_key(&group) {
            visit(group);
        }
        let others = self.placed.iter().filter(|(task, placed)| placed.group == group && **task != group);
        let mut others: Vec<Tid> = others.map(|(&task, _)| task).collect();
        // as they were made, until the numbers start again
        others.sort_unstable();
        for thread in others {
            visit(thread);
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn cpus(&self) -> Mask {
        self.cpus.clone()
    }

    fn memory_nodes(&self) -> Mask {
        self.nodes.clone()
    }

    fn cpu_limit(&self) -> usize {
        self.cpu_limit
    }

    fn can_give(&self, task: Tid, need: Need) -> Result<(), CannotGive> {
        let Some(placed) = self.placed.get(&task) else { return Ok(()) };
        if need != Need::ForkVeto || placed.filtered || self.best_effort {
            return Ok(());
        }
        let Err(reason) = inject::possible(task.0, placed.ours) else { return Ok(()) };
        let name = sys::comm(task.0);
        let reason = format!(
            "task {task} ({name}) was adopted, and no filter that could refuse its forks can be put in: {reason}"
        );
        Err(CannotGive { host: NAME, reason: reason.into() })
    }

    fn group(&self, task: Tid) -> Option<Tid> {
        self.placed.get(&task).map(|placed| placed.group)
    }

    fn is_frozen(&self, task: Tid) -> bool {
        self.born_frozen.contains(&task)
    }
}

impl Host for Tasks {
    fn place(&mut self, task: Tid, set: CssSetId) {
        let filtered = self.vetoes;
        self.placed.entry(task).and_modify(|placed| placed.set = set).or_insert(Placed {
            set,
            group: task,
            ours: true,
            filtered,
            charge: None,
            allowed: None,
            class: 0,
        });
    }

    fn require(&mut self, need: Need) -> Result<(), CannotGive> {
        if self.arranged.is_none() {
            self.arrange(need);
        }
        let Err(reason) = self.check(need) else { return Ok(()) };
        if self.best_effort {
            self.warnings.push(format!("{need} is not given here: {reason}"));
            return Ok(());
        }
        Err(CannotGive { host: NAME, reason: reason.into() })
    }

    fn set_affinity(&mut self, task: Tid, cpus: &Mask) -> Result<(), Errno> {
        self.note_allowed(task, cpus);
        sys::set_affinity(task.0, cpus).map_err(core_errno)
    }

    fn set_memory_nodes(&mut self, task: Tid, from: &Mask, to: &Mask, migrate: bool) -> Result<(), Errno> {
        if !migrate {
            return Ok(());
        }
        sys::migrate_pages(task.0, from, to).map_err(core_errno)
    }

    fn set_socket_class(&mut self, task: Tid, class: u32) -> Result<(), Errno> {
        let placed = self.placed.get_mut(&task).ok_or(Errno::ESRCH)?;
        let changed = std::mem::replace(&mut placed.class, class) != class;
        if changed { sockets::mark_all(task.0, class, self.marking).map_err(core_errno) } else { Ok(()) }
    }

    fn signal(&mut self, task: Tid, signal: i32) -> Result<(), Errno> {
        let group = self.group(task).ok_or(Errno::ESRCH)?;
        sys::tgkill(group.0, task.0, signal).map_err(core_errno)
    }

    fn freeze(&mut self, task: Tid) {
        self.born_frozen.push(task);
    }

    fn thaw(&mut self, task: Tid) {
        self.born_frozen.retain(|&other| other != task);
    }
}
