//! Events of cgroups, and their delivery to watchers.
//!
//! A thread receives every change while there is a watcher, and ends after the last watcher. Each watcher has a bounded
//! queue (`watcher.rs`), and so has the thread itself (`change_queue.rs`). A slow watcher loses events and learns how
//! many; it delays no other.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use penfold_core::{CgroupId, Engine, Event, Owner, Release};

use super::change_queue::{ChangeReceiver, change_queue};
use super::path::name_of;
use super::watcher::{EventDelivery, VisibleEvent, Watcher};
use crate::change::EngineChange;
use crate::escape::escape;
use crate::failure::Failure;
use crate::protocol::EventInfo;
use crate::service::Service;

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

impl WatchHub {
    pub(super) fn start(service: &Service) -> Arc<WatchHub> {
        Arc::new(WatchHub { service: service.clone(), watchers: Mutex::default() })
    }

    /// Adds a watcher.
    ///
    /// # Errors
    /// `EAGAIN` without a thread, `ESHUTDOWN` when the daemon is ending.
    pub(super) fn subscribe(self: &Arc<Self>, watcher: Watcher) -> Result<Arc<Watcher>, Failure> {
        let watcher = Arc::new(watcher);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.all.push(Arc::downgrade(&watcher));
        if !watchers.served {
            // from here on the engine records its own events, such as a cgroup that becomes empty
            self.record(true)?;
            let (sender, changes) = change_queue();
            self.service.observe(move |announced| sender.send(&announced.change));
            let hub = Arc::clone(self);
            thread::Builder::new()
                .name("penfold-events".to_owned())
                .spawn(move || hub.pump(&changes))
                .map_err(|error| Failure::io("watch", error).with_prefix("no thread for it: "))?;
            watchers.served = true;
        }
        Ok(watcher)
    }

    fn pump(&self, changes: &ChangeReceiver) {
        while let Some((change, missed)) = changes.receive() {
            let Some(watchers) = self.watchers() else { return };
            let Ok(seen) = self.service.with_snapshot(|engine, _| visible(engine, change)) else { return };
            if let Some(seen) = seen {
                deliver(&watchers, seen);
            }
            for (directory, count) in missed {
                let Ok(unseen) = self.service.with_snapshot(|engine, _| in_directory(engine, directory))
                else {
                    return;
                };
                let losers =
                    watchers.iter().filter(|watcher| unseen.as_ref().is_some_and(|it| watcher.sees(it)));
                losers.for_each(|watcher| watcher.lose(count));
            }
        }
    }

    /// Passes events of the engine and releases on to the watchers, one after the other: paths may be long.
    pub(super) fn publish(&self, releases: &[Release], events: Vec<Event>) {
        let Some(watchers) = self.watchers() else { return };
        for event in events {
            match self.service.with_snapshot(|engine, _| noticed(engine, event)) {
                Ok(Ok(seen)) => deliver(&watchers, seen),
                Ok(Err(lost)) => watchers.iter().for_each(|watcher| watcher.lose(lost as i64)),
                Err(_) => return,
            }
        }
        for release in releases {
            match self.service.with_snapshot(|engine, _| released(engine, release)) {
                Ok(seen) => deliver(&watchers, seen),
                Err(_) => return,
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

fn deliver(watchers: &[Arc<Watcher>], seen: VisibleEvent) {
    let mut delivery = EventDelivery::new(seen);
    watchers.iter().for_each(|watcher| watcher.offer(&mut delivery));
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

/// A change in a directory that nobody has kept, without a name; `None` if the directory is gone.
fn in_directory(engine: &Engine, directory: Option<CgroupId>) -> Option<VisibleEvent> {
    let Some(directory) = directory else { return Some(of_subsystem("loaded", String::new())) };
    engine.tree().get(directory)?;
    Some(of(engine, "created", String::new(), directory, directory))
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
