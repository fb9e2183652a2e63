//! Events: what happens to cgroups, told to those who watch.
//!
//! A thread hears of every change while somebody watches, and no longer. Each watcher has a bounded queue, so that a slow
//! one loses events, which it is told, and holds up nobody.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use penfold_core::{Caller, CgroupId, Engine, Event as Noticed, Owner, Release};

use super::ask::Ask;
use super::path::{must_list, name_of};
use super::replies::Replies;
use crate::change::{Change, What};
use crate::desk::Desk;
use crate::escape::escape;
use crate::failure::Failure;
use crate::protocol::{Event, WatchCall, WatchReply};

/// Where events come in and go out.
pub(super) struct Hub {
    desk: Desk,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    all: Vec<Weak<Watcher>>,
    /// Somebody listens to the desk for them.
    served: bool,
}

/// One who watches.
struct Watcher {
    caller: Caller,
    /// Only this cgroup and those below.
    top: Option<CgroupId>,
    most: usize,
    queue: Mutex<Queue>,
    bell: EventFd,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    lost: i64,
}

/// An event, and who may hear of it: who may list every directory on the way to the cgroup.
struct Told {
    event: Event,
    /// The cgroup and those above it.
    line: Vec<CgroupId>,
    directories: Vec<Owner>,
}

pub(super) fn watch(ask: &Ask<'_>, call: WatchCall, replies: &mut Replies<'_>) -> io::Result<()> {
    if !replies.more {
        return replies.standard_error("ExpectedMore", "method", "org.penfold.Control.Watch");
    }
    match ask.service.hub.subscribe(ask, call) {
        Ok(watcher) => forward(&watcher, replies),
        Err(failure) => replies.refuse(&failure),
    }
}

/// Until the client goes. A call that it sends meanwhile waits.
fn forward(watcher: &Watcher, replies: &mut Replies<'_>) -> io::Result<()> {
    replies.continue_with(&WatchReply { event: None, lost: None })?;
    loop {
        let hung_up = {
            let mut fds = [
                PollFd::new(replies.stream().as_fd(), PollFlags::empty()),
                PollFd::new(watcher.bell.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                polled => polled?,
            };
            fds[0].any().unwrap_or(true)
        };
        if hung_up {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let _ = watcher.bell.read();
        loop {
            let (event, lost) = {
                let mut queue = watcher.queue.lock().unwrap_or_else(PoisonError::into_inner);
                (queue.events.pop_front(), std::mem::take(&mut queue.lost))
            };
            let lost = Some(lost).filter(|lost| *lost > 0);
            if event.is_none() && lost.is_none() {
                break;
            }
            replies.continue_with(&WatchReply { event, lost })?;
        }
    }
}

impl Hub {
    pub(super) fn start(desk: &Desk) -> Arc<Hub> {
        Arc::new(Hub { desk: desk.clone(), watchers: Mutex::default() })
    }

    fn subscribe(self: &Arc<Self>, ask: &Ask<'_>, call: WatchCall) -> Result<Arc<Watcher>, Failure> {
        let top = call.cgroup.map(|address| {
            ask.look_at(&address, |engine, caller, cgroup| {
                must_list(engine, caller, cgroup)?;
                Ok(cgroup)
            })
        });
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| Failure::new(errno, "watch: no descriptor for it"))?;
        let watcher = Arc::new(Watcher {
            caller: ask.client.caller.clone(),
            top: top.transpose()?,
            most: ask.service.limits.events,
            queue: Mutex::default(),
            bell,
        });
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.all.push(Arc::downgrade(&watcher));
        if !watchers.served {
            // from here on the engine records what happens to it without being asked
            self.desk.look(|engine, _| engine.watch(true))?;
            let (changes, hub) = (self.desk.listen(), Arc::clone(self));
            thread::Builder::new()
                .name("penfold-events".to_owned())
                .spawn(move || hub.pump(&changes))
                .map_err(|_| Failure::new(nix::errno::Errno::EAGAIN, "watch: no thread for it; try again"))?;
            watchers.served = true;
        }
        Ok(watcher)
    }

    fn pump(&self, changes: &mpsc::Receiver<Change>) {
        while let Ok(change) = changes.recv() {
            let Some(watchers) = self.watchers() else { return };
            let Ok(told) = self.desk.glance(|engine, _| told(engine, change.what)) else { return };
            for watcher in told.iter().flat_map(|told| watchers.iter().map(move |watcher| (watcher, told))) {
                watcher.0.hear(watcher.1);
            }
        }
    }

    /// Tells of what the engine and its host have noticed.
    pub(super) fn hear(&self, releases: &[Release], events: Vec<Noticed>) {
        let Some(watchers) = self.watchers() else { return };
        let noticed = self.desk.glance(|engine, _| {
            let of_core = events.into_iter().map(|event| noticed(engine, event));
            let released = releases.iter().map(|release| Ok(released(engine, release)));
            of_core.chain(released).collect::<Vec<_>>()
        });
        for told in noticed.into_iter().flatten() {
            for watcher in &watchers {
                match &told {
                    Ok(told) => watcher.hear(told),
                    Err(lost) => watcher.lose(*lost as i64),
                }
            }
        }
    }

    /// Those who watch. When there are none any more, the engine is told to record no more.
    fn watchers(&self) -> Option<Vec<Arc<Watcher>>> {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.all.retain(|watcher| watcher.strong_count() > 0);
        if watchers.all.is_empty() {
            if std::mem::take(&mut watchers.served) {
                let _ = self.desk.look(|engine, _| engine.watch(false));
            }
            return None;
        }
        Some(watchers.all.iter().filter_map(Weak::upgrade).collect())
    }
}

impl Watcher {
    fn hear(&self, told: &Told) {
        let wanted = self.top.is_none_or(|top| told.line.contains(&top));
        if !wanted || !told.directories.iter().all(|directory| self.caller.may(directory, 5)) {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.events.len() < self.most {
            queue.events.push_back(told.event.clone());
        } else {
            queue.lost += 1;
        }
        drop(queue);
        let _ = self.bell.write(1);
    }

    fn lose(&self, count: i64) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).lost += count;
        let _ = self.bell.write(1);
    }
}

fn told(engine: &Engine, what: What) -> Option<Told> {
    match what {
        What::Made { parent: _, cgroup } => {
            // removed already: its removal, which comes next, tells its name
            let parent = engine.tree().get(cgroup)?.parent()?;
            Some(of(engine, "created", name_of(engine, cgroup), parent, cgroup))
        }
        What::Removed { parent, cgroup, name } => {
            engine.tree().get(parent)?;
            let above = name_of(engine, parent);
            let slash = if above.ends_with('/') { "" } else { "/" };
            Some(of(engine, "removed", format!("{above}{slash}{}", escape(&name)), parent, cgroup))
        }
        What::Loaded(name) => Some(of_subsystem("loaded", name)),
        What::Unloaded(name) => Some(of_subsystem("unloaded", name)),
        _ => None,
    }
}

/// Told to all who watch everything. The place is that of subsystems that are not bound.
fn of_subsystem(kind: &str, name: String) -> Told {
    let subsystem = Some(name);
    let event = Event { kind: kind.to_owned(), cgroup: "0:/".to_owned(), file: None, subsystem };
    Told { event, line: Vec::new(), directories: Vec::new() }
}

fn of(engine: &Engine, kind: &str, name: String, parent: CgroupId, cgroup: CgroupId) -> Told {
    let tree = engine.tree();
    let above: Vec<CgroupId> =
        std::iter::successors(Some(parent), |&at| tree.get(at).and_then(penfold_core::Cgroup::parent))
            .collect();
    let directories = above.iter().filter_map(|&at| Some(tree.get(at)?.owner())).collect();
    let line = std::iter::once(cgroup).chain(above).collect();
    Told { event: event(kind, name), line, directories }
}

/// What core has recorded; how many it has not, where it says so.
fn noticed(engine: &Engine, event: Noticed) -> Result<Told, u64> {
    match event {
        Noticed::Populated { hierarchy, cgroup, path, populated } => {
            let kind = if populated { "populated" } else { "empty" };
            Ok(existing(engine, kind, (hierarchy, &path), Some(cgroup), None))
        }
        Noticed::LimitHit { hierarchy, cgroup, path, file, .. } => {
            Ok(existing(engine, "limit", (hierarchy, &path), Some(cgroup), Some(file)))
        }
        Noticed::Lost(count) => Err(count),
    }
}

fn released(engine: &Engine, release: &Release) -> Told {
    let root = engine.tree().hierarchies().find(|one| one.id == release.hierarchy).map(|one| one.root);
    let mut names = release.path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    let cgroup = root.and_then(|root| names.try_fold(root, |at, name| engine.tree().child(at, name)));
    existing(engine, "released", (release.hierarchy, &release.path), cgroup, None)
}

/// An event of a cgroup that may have been removed meanwhile: then nobody can be asked who may hear of it, and only the
/// administrator does.
fn existing(
    engine: &Engine,
    kind: &str,
    (hierarchy, path): (u32, &[u8]),
    cgroup: Option<CgroupId>,
    file: Option<String>,
) -> Told {
    let name = format!("{hierarchy}:{}", escape(path));
    let parent = cgroup.and_then(|cgroup| engine.tree().get(cgroup)).map(penfold_core::Cgroup::parent);
    let mut told = match (cgroup, parent) {
        (Some(cgroup), Some(Some(parent))) => of(engine, kind, name, parent, cgroup),
        (Some(root), Some(None)) => {
            Told { event: event(kind, name), line: vec![root], directories: Vec::new() }
        }
        _ => {
            let event = event(kind, name);
            Told { event, line: cgroup.into_iter().collect(), directories: vec![Owner::default()] }
        }
    };
    told.event.file = file;
    told
}

fn event(kind: &str, cgroup: String) -> Event {
    Event { kind: kind.to_owned(), cgroup, file: None, subsystem: None }
}
