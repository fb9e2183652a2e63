//! Events of cgroups, and their delivery to watchers.
//!
//! A thread receives every change while there is a watcher, and ends after the last watcher. Each watcher has a bounded
//! queue. A slow watcher loses events and learns how many; it delays no other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};
use penfold_core::{Access, Caller, CgroupId, Engine, Event, Owner, Release};

use super::path::name_of;
use crate::change::{Announcement, EngineChange};
use crate::escape::escape;
use crate::failure::Failure;
use crate::protocol::EventInfo;
use crate::service::Service;

/// How many events of the host are described in one request to the engine.
const EVENTS_AT_ONCE: usize = 64;

/// Receives changes of the service and events of the host, and passes them to the watchers that may see them.
pub(super) struct WatchHub {
    service: Service,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    all: Vec<Weak<Watcher>>,
    /// True while a thread receives changes for them and the engine records events.
    served: bool,
}

/// One call of the method `Watch`.
pub(super) struct Watcher {
    caller: Caller,
    /// Only events of this cgroup and of those below; `None` for all.
    top: Option<CgroupId>,
    /// The longest that the queue may be; further events are counted as lost.
    most: usize,
    queue: Mutex<WatchQueue>,
    /// Readable when the queue has changed.
    pub(super) wakeup: EventFd,
}

#[derive(Default)]
struct WatchQueue {
    events: VecDeque<EventInfo>,
    lost: i64,
}

/// An event, and the rule for its visibility: a caller sees it who may list every directory on the way to the cgroup.
struct VisibleEvent {
    event: EventInfo,
    /// The cgroup and those above it.
    line: Vec<CgroupId>,
    /// Owner and mode of each directory that the caller must be able to list.
    directories: Vec<Owner>,
}

impl WatchHub {
    pub(super) fn start(service: &Service) -> Arc<WatchHub> {
        Arc::new(WatchHub { service: service.clone(), watchers: Mutex::default() })
    }

    /// Adds a watcher of all events, or of those of `top` and the cgroups below. At most `most` events wait for it.
    ///
    /// # Errors
    /// `EMFILE` without a free descriptor, `EAGAIN` without a thread, `ESHUTDOWN` when the daemon is ending.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        caller: Caller,
        top: Option<CgroupId>,
        most: usize,
    ) -> Result<Arc<Watcher>, Failure> {
        let wakeup = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| Failure::system("watch", errno).with_prefix("no descriptor for it: "))?;
        let watcher = Arc::new(Watcher { caller, top, most, queue: Mutex::default(), wakeup });
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.all.push(Arc::downgrade(&watcher));
        if !watchers.served {
            // from here on the engine records its own events, such as a cgroup that becomes empty
            self.record(true)?;
            let (changes, hub) = (self.service.subscribe(), Arc::clone(self));
            thread::Builder::new()
                .name("penfold-events".to_owned())
                .spawn(move || hub.pump(&changes))
                .map_err(|error| Failure::io("watch", error).with_prefix("no thread for it: "))?;
            watchers.served = true;
        }
        Ok(watcher)
    }

    fn pump(&self, changes: &mpsc::Receiver<Announcement>) {
        while let Ok(announced) = changes.recv() {
            let Some(watchers) = self.watchers() else { return };
            let Ok(seen) = self.service.with_snapshot(|engine, _| visible(engine, announced.change)) else {
                return;
            };
            for watcher in seen.iter().flat_map(|seen| watchers.iter().map(move |watcher| (watcher, seen))) {
                watcher.0.offer(watcher.1);
            }
        }
    }

    /// Passes events of the engine and releases on to the watchers.
    pub(super) fn publish(&self, releases: &[Release], events: Vec<Event>) {
        let Some(watchers) = self.watchers() else { return };
        let mut events = events.into_iter();
        let mut releases = releases.iter();
        loop {
            // a few in each request: very many cgroups can become empty at once
            let noticed = self.service.with_snapshot(|engine, _| {
                let of_core = events.by_ref().map(|event| noticed(engine, event));
                let released = releases.by_ref().map(|release| Ok(released(engine, release)));
                of_core.chain(released).take(EVENTS_AT_ONCE).collect::<Vec<_>>()
            });
            let Ok(noticed) = noticed else { return };
            if noticed.is_empty() {
                return;
            }
            for seen in noticed {
                for watcher in &watchers {
                    match &seen {
                        Ok(seen) => watcher.offer(seen),
                        Err(lost) => watcher.lose(*lost as i64),
                    }
                }
            }
        }
    }

    /// Switches the engine's recording of events on or off.
    fn record(&self, wanted: bool) -> Result<(), Failure> {
        self.service.request(|engine, _| {
            engine.watch(wanted);
            Ok(())
        })
    }

    /// The watchers. `None` without any; then the engine's recording is switched off.
    fn watchers(&self) -> Option<Vec<Arc<Watcher>>> {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.all.retain(|watcher| watcher.strong_count() > 0);
        if watchers.all.is_empty() {
            if std::mem::take(&mut watchers.served) {
                let _ = self.record(false);
            }
            return None;
        }
        Some(watchers.all.iter().filter_map(Weak::upgrade).collect())
    }
}

impl Watcher {
    /// The next event, and how many were lost since the last call.
    pub(super) fn next(&self) -> (Option<EventInfo>, i64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        (queue.events.pop_front(), std::mem::take(&mut queue.lost))
    }

    fn offer(&self, seen: &VisibleEvent) {
        let wanted = self.top.is_none_or(|top| seen.line.contains(&top));
        if !wanted
            || !seen
                .directories
                .iter()
                .all(|directory| self.caller.may(directory, Access::READ | Access::SEARCH))
        {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.events.len() < self.most {
            queue.events.push_back(seen.event.clone());
        } else {
            queue.lost += 1;
        }
        drop(queue);
        let _ = self.wakeup.write(1);
    }

    fn lose(&self, count: i64) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).lost += count;
        let _ = self.wakeup.write(1);
    }
}

fn visible(engine: &Engine, what: EngineChange) -> Option<VisibleEvent> {
    match what {
        EngineChange::Made { parent, cgroup, name } => of_child(engine, "created", parent, cgroup, &name),
        EngineChange::Removed { parent, cgroup, name } => of_child(engine, "removed", parent, cgroup, &name),
        EngineChange::Loaded(name) => Some(of_subsystem("loaded", name)),
        EngineChange::Unloaded(name) => Some(of_subsystem("unloaded", name)),
        _ => None,
    }
}

/// An event of a directory's entry. `None` if the directory is gone too: then no owner and mode decide about it.
fn of_child(
    engine: &Engine,
    kind: &str,
    parent: CgroupId,
    cgroup: CgroupId,
    name: &[u8],
) -> Option<VisibleEvent> {
    engine.tree().get(parent)?;
    let above = name_of(engine, parent);
    let slash = if above.ends_with('/') { "" } else { "/" };
    Some(of(engine, kind, format!("{above}{slash}{}", escape(name)), parent, cgroup))
}

/// An event of a subsystem, visible to every watcher of all hierarchies. Its address is the root of hierarchy 0, where
/// subsystems are that are not bound.
fn of_subsystem(kind: &str, name: String) -> VisibleEvent {
    let subsystem = Some(name);
    let event = EventInfo { kind: kind.to_owned(), cgroup: "0:/".to_owned(), file: None, subsystem };
    VisibleEvent { event, line: Vec::new(), directories: Vec::new() }
}

fn of(engine: &Engine, kind: &str, name: String, parent: CgroupId, cgroup: CgroupId) -> VisibleEvent {
    let tree = engine.tree();
    let above: Vec<CgroupId> =
        std::iter::successors(Some(parent), |&at| tree.get(at).and_then(penfold_core::tree::Cgroup::parent))
            .collect();
    let directories = above.iter().filter_map(|&at| Some(tree.get(at)?.owner())).collect();
    let line = std::iter::once(cgroup).chain(above).collect();
    VisibleEvent { event: event(kind, name), line, directories }
}

/// An event that core has recorded. The error is the number of events that core has lost.
fn noticed(engine: &Engine, event: Event) -> Result<VisibleEvent, u64> {
    match event {
        Event::Populated { hierarchy, cgroup, path, populated } => {
            let kind = if populated { "populated" } else { "empty" };
            Ok(existing(engine, kind, (hierarchy, &path), Some(cgroup), None))
        }
        Event::LimitHit { hierarchy, cgroup, path, file, .. } => {
            Ok(existing(engine, "limit", (hierarchy, &path), Some(cgroup), Some(file)))
        }
        Event::Lost(count) => Err(count),
        // an event of a newer core, which this program can't describe
        _ => Err(1),
    }
}

fn released(engine: &Engine, release: &Release) -> VisibleEvent {
    let root = engine.tree().hierarchies().find(|one| one.id == release.hierarchy).map(|one| one.root);
    let mut names = release.path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    let cgroup = root.and_then(|root| names.try_fold(root, |at, name| engine.tree().child(at, name)));
    existing(engine, "released", (release.hierarchy, &release.path), cgroup, None)
}

/// An event of a cgroup that may have been removed meanwhile. The owners above a removed cgroup are unknown, so only
/// the administrator sees its event.
fn existing(
    engine: &Engine,
    kind: &str,
    (hierarchy, path): (u32, &[u8]),
    cgroup: Option<CgroupId>,
    file: Option<String>,
) -> VisibleEvent {
    let name = format!("{hierarchy}:{}", escape(path));
    let parent = cgroup.and_then(|cgroup| engine.tree().get(cgroup)).map(penfold_core::tree::Cgroup::parent);
    let mut seen = match (cgroup, parent) {
        (Some(cgroup), Some(Some(parent))) => of(engine, kind, name, parent, cgroup),
        (Some(root), Some(None)) => {
            VisibleEvent { event: event(kind, name), line: vec![root], directories: Vec::new() }
        }
        _ => {
            let event = event(kind, name);
            VisibleEvent { event, line: cgroup.into_iter().collect(), directories: vec![Owner::default()] }
        }
    };
    seen.event.file = file;
    seen
}

fn event(kind: &str, cgroup: String) -> EventInfo {
    EventInfo { kind: kind.to_owned(), cgroup, file: None, subsystem: None }
}
