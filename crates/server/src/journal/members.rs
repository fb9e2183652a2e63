//! Who is a member of what: looked at while the daemon runs, put back when another one starts.

use std::collections::{BTreeMap, HashMap, HashSet};

use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, CssSetId, Engine, MoveScope, Tid, host::Host};
use penfold_linux::proc::{children_of_process, start_time, threads_of};
use penfold_linux::trace::Survivor;

use super::describe::cgroups_of;
use super::place::ProcStamp;
use super::rebuild::Rebuilt;
use super::record::{Process, Record, Thread};
use super::snapshot::Snapshot;
use crate::failure::Failure;
use crate::service::Service;

/// Tells which processes the host supervises that would outlive the daemon.
pub type Survivors = Box<dyn Fn() -> Result<Vec<Survivor>, Failure> + Send>;

/// Takes a process of an earlier daemon in again, into the roots.
///
/// # Errors
/// `EEXIST` if it is supervised already.
pub type Readopt<'a> = &'a mut dyn FnMut(&Process) -> Result<(), Failure>;

/// The members as they are now.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub(super) fn now(service: &Service, survivors: &Survivors) -> Result<BTreeMap<i32, Process>, Failure> {
    let survivors = survivors()?;
    if survivors.is_empty() {
        return Ok(BTreeMap::new());
    }
    service.with_exact(|engine, host| {
        let mut places: HashMap<CssSetId, Vec<u64>> = HashMap::new();
        let mut place = |tid: i32| {
            let set = host.css_set(Tid(tid))?;
            Some(places.entry(set).or_insert_with(|| cgroups_of(engine, set)).clone())
        };
        survivors
            .iter()
            .filter_map(|survivor| Some((survivor.pid.0, process(survivor, &mut place)?)))
            .collect()
    })
}

/// A process with its places; `None` when it is in the roots only, or dead.
fn process(survivor: &Survivor, place: &mut impl FnMut(i32) -> Option<Vec<u64>>) -> Option<Process> {
    let threads: Vec<Thread> =
        survivor.threads.iter().filter_map(|&Tid(tid)| Some(Thread { tid, cgroups: place(tid)? })).collect();
    // a leader may have ended before its threads
    let leader = threads.iter().find(|thread| thread.tid == survivor.pid.0).or(threads.first())?;
    let cgroups = leader.cgroups.clone();
    let alike = threads.iter().all(|thread| thread.cgroups == cgroups);
    if alike && cgroups.is_empty() {
        return None;
    }
    let Survivor { pid: Tid(pid), started, filter, .. } = *survivor;
    Some(Process { pid, started, filter, cgroups, threads: if alike { Vec::new() } else { threads } })
}

/// What has to be recorded to get from the members of an snapshot to those of now.
pub(super) fn difference(
    snapshot: &Snapshot,
    now: BTreeMap<i32, Process>,
    seen: ProcStamp,
) -> Option<Record> {
    let gone: Vec<i32> = snapshot.processes.keys().copied().filter(|pid| !now.contains_key(pid)).collect();
    let present: Vec<Process> =
        now.into_values().filter(|process| snapshot.processes.get(&process.pid) != Some(process)).collect();
    (!gone.is_empty() || !present.is_empty()).then_some(Record::Members { seen, present, gone })
}

/// Puts the members that still live back, and what was born of them since. Returns what is not known, in sentences.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub(super) fn put_back(
    service: &Service,
    snapshot: &Snapshot,
    rebuilt: &Rebuilt,
    readopt: Readopt<'_>,
) -> Result<Vec<String>, Failure> {
    let mut work = Work {
        service,
        snapshot,
        cgroups: &rebuilt.cgroups,
        readopt,
        done: HashSet::new(),
        said: Vec::new(),
    };
    let mut ended = 0_usize;
    for process in snapshot.processes.values() {
        if start_time(Tid(process.pid)) != Some(process.started) {
            ended += 1;
            continue;
        }
        work.put_back(process)?;
    }
    let known: Vec<(i32, &Process)> = work.done.iter().map(|&pid| (pid, &snapshot.processes[&pid])).collect();
    for (pid, process) in known {
        work.children(pid, process)?;
    }
    if ended > 0 {
        work.said.push(format!(
            "{ended} members have ended while no daemon ran; what they may have left behind is not known"
        ));
    }
    Ok(work.said)
}

struct Work<'a> {
    service: &'a Service,
    snapshot: &'a Snapshot,
    cgroups: &'a HashMap<u64, CgroupId>,
    readopt: Readopt<'a>,
    /// Processes that are supervised again.
    done: HashSet<i32>,
    said: Vec<String>,
}

impl Work<'_> {
    fn put_back(&mut self, process: &Process) -> Result<(), Failure> {
        if !self.readopt(process)? {
            return Ok(());
        }
        self.done.insert(process.pid);
        if process.threads.is_empty() {
            return self.attach(process.pid, MoveScope::ThreadGroup, &process.cgroups);
        }
        let known: HashMap<i32, &Thread> =
            process.threads.iter().map(|thread| (thread.tid, thread)).collect();
        for Tid(tid) in threads_of(Tid(process.pid)).unwrap_or_default() {
            match known.get(&tid) {
                Some(thread) => self.attach(tid, MoveScope::Task, &thread.cgroups)?,
                None => self.said.push(format!(
                    "thread {tid} of process {} was born while no daemon ran, of one of several threads in different \
                     cgroups: it is in the roots now",
                    process.pid
                )),
            }
        }
        Ok(())
    }

    /// True if it is supervised now.
    fn readopt(&mut self, process: &Process) -> Result<bool, Failure> {
        match (self.readopt)(process) {
            Ok(()) => Ok(true),
            Err(failure) if failure.errno == Errno::EEXIST => Ok(true),
            Err(failure) if failure.errno == Errno::ESHUTDOWN => Err(failure),
            // it has ended meanwhile
            Err(failure) if failure.errno == Errno::ESRCH => Ok(false),
            Err(failure) => {
                let pid = process.pid;
                self.said.push(format!(
                    "process {pid} can't be supervised again: {failure}; it is in no cgroup now"
                ));
                Ok(false)
            }
        }
    }

    /// The children that a member has had since the membership was last recorded: whatever was there then and is not in
    /// the journal was no member. From here on those that are born are taken in with their parents.
    fn children(&mut self, parent: i32, like: &Process) -> Result<(), Failure> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            for child in children_of_process(Tid(parent)) {
                let Some(started) = start_time(child) else { continue };
                let Tid(child) = child;
                if self.done.contains(&child) || !self.snapshot.seen.is_before(child, started) {
                    continue;
                }
                if !like.threads.is_empty() {
                    self.said.push(format!(
                        "process {child} was born while no daemon ran, of process {parent}, whose threads are in different \
                         cgroups: it is in the roots now"
                    ));
                    continue;
                }
                let newborn = Process { pid: child, started, ..like.clone() };
                if self.readopt(&newborn)? {
                    self.done.insert(child);
                    self.attach(child, MoveScope::ThreadGroup, &like.cgroups)?;
                    parents.push(child);
                }
            }
        }
        Ok(())
    }

    fn attach(&mut self, tid: i32, scope: MoveScope, cgroups: &[u64]) -> Result<(), Failure> {
        let ids: Vec<CgroupId> =
            cgroups.iter().filter_map(|cgroup| self.cgroups.get(cgroup).copied()).collect();
        if ids.len() < cgroups.len() {
            self.said.push(format!("task {tid} was in a cgroup that is not there any more"));
        }
        let refused = self.service.with_exact(|engine, host| attach(engine, host, tid, scope, &ids))?;
        self.said.extend(refused);
        Ok(())
    }
}

fn attach(
    engine: &mut Engine,
    host: &mut dyn Host,
    tid: i32,
    scope: MoveScope,
    ids: &[CgroupId],
) -> Vec<String> {
    let caller = Caller::root(Tid(std::process::id().cast_signed()));
    let mut refused = Vec::new();
    for &id in ids {
        match engine.session(host, &caller).attach(id, Tid(tid), scope) {
            Ok(()) => {}
            // it has ended meanwhile
            Err(error) if error.errno() == penfold_core::Errno::ESRCH => {}
            Err(error) => {
                let path = crate::escape::escape(&engine.tree().path(id));
                refused.push(format!("task {tid} can't be put back into {path}: {error}"));
            }
        }
    }
    refused
}
