//! Membership: read while the daemon runs, restored when the next one starts.

use std::collections::{BTreeMap, HashMap, HashSet};

use penfold_core::{Caller, CgroupId, CssSetId, Engine, ErrorKind, MoveScope, Tid, host::Host};
use penfold_linux::proc::{children_of_process, start_time, threads_of};
use penfold_linux::trace::Survivor;

use super::describe::cgroups_of;
use super::origin::ProcStamp;
use super::rebuild::Rebuilt;
use super::record::{ProcessRecord, Record, ThreadRecord};
use super::snapshot::Snapshot;
use crate::failure::Failure;
use crate::service::Service;

/// How many processes are looked at in one request, during which the engine serves no client.
const AT_ONCE: usize = 1024;

/// Returns the supervised processes that would outlive the daemon.
pub type Survivors = Box<dyn Fn() -> Result<Vec<Survivor>, Failure> + Send>;

/// Adopts a process of an earlier daemon again, into the roots.
///
/// # Errors
/// `EEXIST` if the process is supervised already; `ESRCH` if it has ended; `ESHUTDOWN` when the daemon is ending.
pub type Readopt<'a> = &'a mut dyn FnMut(&ProcessRecord) -> Result<(), Failure>;

/// The present members by process number: the processes that would outlive the daemon and are in a cgroup that is no
/// root.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub(super) fn now(service: &Service, survivors: &Survivors) -> Result<BTreeMap<i32, ProcessRecord>, Failure> {
    let survivors = survivors()?;
    if survivors.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut members = BTreeMap::new();
    // each record is of one moment; a move between two requests is seen at the next look
    for chunk in survivors.chunks(AT_ONCE) {
        members.extend(service.with_exact(|engine, host| {
            let mut places: HashMap<CssSetId, Vec<u64>> = HashMap::new();
            let mut place = |tid: i32| {
                let set = host.css_set(Tid(tid))?;
                Some(places.entry(set).or_insert_with(|| cgroups_of(engine, set)).clone())
            };
            let look = |survivor: &Survivor| Some((survivor.pid.0, process(survivor, &mut place)?));
            chunk.iter().filter_map(look).collect::<Vec<_>>()
        })?);
    }
    Ok(members)
}

/// The record of a process; `None` if it is in the roots only, or dead. `place` returns the cgroups of a thread.
fn process(survivor: &Survivor, place: &mut impl FnMut(i32) -> Option<Vec<u64>>) -> Option<ProcessRecord> {
    let threads: Vec<ThreadRecord> = survivor
        .threads
        .iter()
        .filter_map(|&Tid(tid)| Some(ThreadRecord { tid, cgroups: place(tid)? }))
        .collect();
    // a leader can end before its threads
    let leader = threads.iter().find(|thread| thread.tid == survivor.pid.0).or(threads.first())?;
    let cgroups = leader.cgroups.clone();
    let alike = threads.iter().all(|thread| thread.cgroups == cgroups);
    if alike && cgroups.is_empty() {
        return None;
    }
    let Survivor { pid: Tid(pid), started, filter, .. } = *survivor;
    Some(ProcessRecord { pid, started, filter, cgroups, threads: if alike { Vec::new() } else { threads } })
}

/// The record that brings the members of a snapshot up to date; `None` if they are.
pub(super) fn difference(
    snapshot: &Snapshot,
    now: BTreeMap<i32, ProcessRecord>,
    seen: ProcStamp,
) -> Option<Record> {
    let gone: Vec<i32> = snapshot.processes.keys().copied().filter(|pid| !now.contains_key(pid)).collect();
    let present: Vec<ProcessRecord> =
        now.into_values().filter(|process| snapshot.processes.get(&process.pid) != Some(process)).collect();
    (!gone.is_empty() || !present.is_empty()).then_some(Record::Members { seen, present, gone })
}

/// Puts the living members back into their cgroups, and the children that they have had since. Returns one sentence for
/// each loss.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub(super) fn put_back(
    service: &Service,
    snapshot: &Snapshot,
    rebuilt: &Rebuilt,
    readopt: Readopt<'_>,
) -> Result<Vec<String>, Failure> {
    let mut back = PuttingBack {
        service,
        snapshot,
        cgroups: &rebuilt.cgroups,
        readopt,
        done: HashSet::new(),
        not_restored: Vec::new(),
    };
    let mut ended = 0_usize;
    for process in snapshot.processes.values() {
        if start_time(Tid(process.pid)) != Some(process.started) {
            ended += 1;
            continue;
        }
        back.put_back(process)?;
    }
    let known: Vec<(i32, &ProcessRecord)> =
        back.done.iter().map(|&pid| (pid, &snapshot.processes[&pid])).collect();
    for (pid, process) in known {
        back.children(pid, process)?;
    }
    if ended > 0 {
        back.not_restored.push(format!(
            "{ended} members have ended while no daemon ran; what they may have left behind is not known"
        ));
    }
    Ok(back.not_restored)
}

/// The state of one [`put_back`].
struct PuttingBack<'a> {
    service: &'a Service,
    snapshot: &'a Snapshot,
    cgroups: &'a HashMap<u64, CgroupId>,
    readopt: Readopt<'a>,
    /// Processes that are supervised again.
    done: HashSet<i32>,
    not_restored: Vec<String>,
}

impl PuttingBack<'_> {
    fn put_back(&mut self, process: &ProcessRecord) -> Result<(), Failure> {
        if !self.readopt(process)? {
            return Ok(());
        }
        self.done.insert(process.pid);
        if process.threads.is_empty() {
            return self.attach(process.pid, MoveScope::ThreadGroup, &process.cgroups);
        }
        let known: HashMap<i32, &ThreadRecord> =
            process.threads.iter().map(|thread| (thread.tid, thread)).collect();
        for Tid(tid) in threads_of(Tid(process.pid)).unwrap_or_default() {
            match known.get(&tid) {
                Some(thread) => self.attach(tid, MoveScope::Task, &thread.cgroups)?,
                None => self.not_restored.push(format!(
                    "thread {tid} of process {} was born while no daemon ran, of one of several threads in different \
                     cgroups: it is in the roots now",
                    process.pid
                )),
            }
        }
        Ok(())
    }

    /// Adopts a process again. Returns whether it is supervised now.
    fn readopt(&mut self, process: &ProcessRecord) -> Result<bool, Failure> {
        match (self.readopt)(process) {
            Ok(()) => Ok(true),
            Err(failure) if failure.kind == ErrorKind::AlreadyExists => Ok(true),
            Err(failure) if failure.kind == ErrorKind::Ending => Err(failure),
            // the process has ended meanwhile
            Err(failure) if failure.kind == ErrorKind::NoTask => Ok(false),
            Err(failure) => {
                let pid = process.pid;
                self.not_restored.push(format!(
                    "process {pid} can't be supervised again: {}; it is in no cgroup now",
                    failure.detail
                ));
                Ok(false)
            }
        }
    }

    /// Puts back the children that a member has had since membership was last recorded. A child that is older and not
    /// in the journal was no member. Children that are born from now on are supervised with their parents.
    fn children(&mut self, parent: i32, like: &ProcessRecord) -> Result<(), Failure> {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            for child in children_of_process(Tid(parent)) {
                let Some(started) = start_time(child) else { continue };
                let Tid(child) = child;
                if self.done.contains(&child) || !self.snapshot.seen.is_before(child, started) {
                    continue;
                }
                if !like.threads.is_empty() {
                    self.not_restored.push(format!(
                        "process {child} was born while no daemon ran, of process {parent}, whose threads are in different \
                         cgroups: it is in the roots now"
                    ));
                    continue;
                }
                let newborn = ProcessRecord { pid: child, started, ..like.clone() };
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
            self.not_restored.push(format!("task {tid} was in a cgroup that is not there any more"));
        }
        let refused = self.service.with_exact(|engine, host| attach(engine, host, tid, scope, &ids))?;
        self.not_restored.extend(refused);
        Ok(())
    }
}

/// Moves a task into cgroups and returns one sentence for each refusal.
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
            // the task has ended meanwhile
            Err(error) if error.errno() == penfold_core::Errno::ESRCH => {}
            Err(error) => {
                let path = crate::escape::escape(&engine.tree().path(id));
                refused.push(format!("task {tid} can't be put back into {path}: {error}"));
            }
        }
    }
    refused
}
