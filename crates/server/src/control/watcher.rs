//! One watcher of events, and the queue of those that it has not read yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use penfold_core::{Access, Caller, CgroupId, Owner};

use super::limits::Limits;
use super::pool::{ClientPool, ClientPools, Holder, PoolFull, PoolShare};
use crate::failure::Failure;
use crate::protocol::EventInfo;
use nix::errno::Errno;
use penfold_core::ErrorKind;

/// The memory of an event beside its text, in bytes.
const BESIDE_TEXT: usize = 128;
/// The length of a queue that keeps its memory when it is empty.
const SHORT: usize = 64;

/// One call of the method `Watch`.
pub(super) struct Watcher {
    caller: Caller,
    holder: Holder,
    /// Only events of this cgroup and of those below; `None` for all.
    top: Option<CgroupId>,
    /// The longest that the queue may be, in events and in bytes; further events are counted as lost.
    most: usize,
    most_bytes: usize,
    events: Arc<ClientPool>,
    queue: Mutex<WatchQueue>,
    /// Readable when the queue has changed.
    pub(super) wakeup: EventFd,
    /// The share of `wakeup` in the descriptors of clients.
    _descriptor: PoolShare,
}

#[derive(Default)]
struct WatchQueue {
    events: VecDeque<Arc<QueuedEvent>>,
    bytes: usize,
    lost: i64,
}

/// An event, and the rule for its visibility: a caller that may list every directory on the way to the cgroup sees it.
pub(super) struct VisibleEvent {
    pub(super) event: EventInfo,
    /// The cgroup and those above it.
    pub(super) line: Vec<CgroupId>,
    /// Owner and mode of each directory that the caller must be able to list.
    pub(super) directories: Vec<Owner>,
}

/// An event that waits for watchers of one user, as JSON. All of them have the same one, and those of other users the
/// same text.
#[derive(Debug)]
pub(super) struct QueuedEvent {
    text: Arc<str>,
    /// The user's share in the bytes of all events that wait.
    _share: PoolShare,
}

impl QueuedEvent {
    /// The [`EventInfo`] as JSON.
    pub(super) fn json(&self) -> &str {
        &self.text
    }

    fn bytes(&self) -> usize {
        self.text.len() + BESIDE_TEXT
    }
}

/// An event on its way to all watchers.
pub(super) struct EventDelivery {
    seen: VisibleEvent,
    text: Option<Arc<str>>,
    /// For each user with a watcher: the event with the user's share, or `None` if it did not fit.
    of_user: HashMap<Holder, Option<Arc<QueuedEvent>>>,
}

impl EventDelivery {
    pub(super) fn new(seen: VisibleEvent) -> EventDelivery {
        EventDelivery { seen, text: None, of_user: HashMap::new() }
    }

    fn for_user(&mut self, holder: Holder, events: &Arc<ClientPool>) -> Option<Arc<QueuedEvent>> {
        if let Some(known) = self.of_user.get(&holder) {
            return known.clone();
        }
        let event = &self.seen.event;
        let text = self.text.get_or_insert_with(|| {
            // numbers and texts can always be written
            serde_json::to_string(event).unwrap_or_default().into()
        });
        let text = Arc::clone(text);
        let share = events.take(holder, text.len() + BESIDE_TEXT).ok();
        let queued = share.map(|share| Arc::new(QueuedEvent { text, _share: share }));
        self.of_user.insert(holder, queued.clone());
        queued
    }
}

impl Watcher {
    /// A watcher of `top` and the cgroups below, or of all, with the rights of `caller`.
    ///
    /// # Errors
    /// `EMFILE` without a free descriptor; [`ErrorKind::TooMuch`] if clients have all that are for them.
    pub(super) fn new(
        (caller, holder): (Caller, Holder),
        top: Option<CgroupId>,
        limits: &Limits,
        pools: &ClientPools,
    ) -> Result<Watcher, Failure> {
        let descriptor = pools.descriptors.take(holder, 1).map_err(|full| {
            let detail = match full {
                PoolFull::User => "too many watches of this user; end some",
                PoolFull::All => "too many watches at once; try again",
            };
            Failure::new(ErrorKind::TooMuch, Errno::EMFILE, "watch", detail)
        })?;
        let wakeup = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| Failure::system("watch", errno).with_prefix("no descriptor for it: "))?;
        Ok(Watcher {
            caller,
            holder,
            top,
            most: limits.events,
            most_bytes: limits.event_bytes_of_watcher,
            events: Arc::clone(&pools.events),
            queue: Mutex::default(),
            wakeup,
            _descriptor: descriptor,
        })
    }

    /// The next event, and how many were lost since the last call.
    pub(super) fn next(&self) -> (Option<Arc<QueuedEvent>>, i64) {
        let mut queue = self.lock();
        let event = queue.events.pop_front();
        queue.bytes -= event.as_ref().map_or(0, |event| event.bytes());
        if queue.events.is_empty() && queue.events.capacity() > SHORT {
            queue.events = VecDeque::new();
        }
        (event, std::mem::take(&mut queue.lost))
    }

    /// Queues an event, if the watcher may see it. An event for which there is no room counts as lost.
    pub(super) fn offer(&self, delivery: &mut EventDelivery) {
        if !self.sees(&delivery.seen) {
            return;
        }
        let mut queue = self.lock();
        let room = queue.events.len() < self.most;
        // no share is taken for an event that does not fit into the queue anyway
        let event = if room { delivery.for_user(self.holder, &self.events) } else { None };
        match event.filter(|event| queue.bytes + event.bytes() <= self.most_bytes) {
            Some(event) => {
                queue.bytes += event.bytes();
                queue.events.push_back(event);
            }
            None => queue.lost += 1,
        }
        drop(queue);
        let _ = self.wakeup.write(1);
    }

    /// Counts events as lost that nobody has kept.
    pub(super) fn lose(&self, count: i64) {
        self.lock().lost += count;
        let _ = self.wakeup.write(1);
    }

    /// Whether an event concerns this watcher, and its caller may see it.
    pub(super) fn sees(&self, seen: &VisibleEvent) -> bool {
        let may_list = |directory| self.caller.may(directory, Access::READ | Access::SEARCH);
        self.top.is_none_or(|top| seen.line.contains(&top)) && seen.directories.iter().all(may_list)
    }

    fn lock(&self) -> MutexGuard<'_, WatchQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use penfold_core::Tid;

    use super::super::pool::PoolLimit;
    use super::*;

    fn watcher(uid: u32, limits: &Limits, pools: &ClientPools) -> Watcher {
        let caller = Caller { uid, ..Caller::root(Tid(1)) };
        Watcher::new((caller, Holder { uid, administrator: false }), None, limits, pools)
            .expect("a descriptor")
    }

    fn delivery(bytes: usize) -> EventDelivery {
        let event = EventInfo { kind: "created".into(), cgroup: "x".repeat(bytes), ..EventInfo::default() };
        EventDelivery::new(VisibleEvent { event, line: Vec::new(), directories: Vec::new() })
    }

    /// The events that a watcher reads, and the number of lost ones.
    fn read(watcher: &Watcher) -> (i64, i64) {
        let (mut read, mut lost) = (0, 0);
        loop {
            let (event, more) = watcher.next();
            lost += more;
            if event.is_none() {
                return (read, lost);
            }
            read += 1;
        }
    }

    #[test]
    fn watchers_of_a_user_share_the_bytes_of_an_event() {
        let limits = Limits { event_bytes: PoolLimit::new(1 << 20, 100_000), ..Limits::default() };
        let pools = ClientPools::new(&limits);
        let watchers: Vec<Watcher> = (0..50).map(|_| watcher(7, &limits, &pools)).collect();
        let other = watcher(8, &limits, &pools);
        for _ in 0..30 {
            let mut delivery = delivery(10_000);
            for watcher in watchers.iter().chain([&other]) {
                watcher.offer(&mut delivery);
            }
        }
        let user = Holder { uid: 7, administrator: false };
        assert!(pools.events.share(user).grow_up_to(usize::MAX) < 11_000, "nine events fit, counted once");
        for watcher in watchers.iter().chain([&other]) {
            assert_eq!(read(watcher), (9, 21), "each event is read or counted");
            assert!(watcher.lock().events.capacity() <= SHORT && watcher.lock().bytes == 0);
        }
        assert_eq!(pools.events.share(user).grow_up_to(usize::MAX), 100_000, "all is given back");
    }

    #[test]
    fn queue_is_bounded_in_events_and_in_bytes() {
        let limits = Limits { events: 5, event_bytes_of_watcher: 30_000, ..Limits::default() };
        let pools = ClientPools::new(&limits);
        let watcher = watcher(7, &limits, &pools);
        for (bytes, expected) in [(10, (5, 3)), (9_000, (3, 5)), (40_000, (0, 8))] {
            for _ in 0..8 {
                watcher.offer(&mut delivery(bytes));
            }
            assert_eq!(read(&watcher), expected, "of {bytes} bytes");
        }
    }

    #[test]
    fn watches_of_one_user_are_bounded() {
        let descriptors = PoolLimit { all: 10, kept_for_root: 0, of_user: 2 };
        let limits = Limits { descriptors, ..Limits::default() };
        let pools = ClientPools::new(&limits);
        let _held = [watcher(7, &limits, &pools), watcher(7, &limits, &pools)];
        let caller = Caller { uid: 7, ..Caller::root(Tid(1)) };
        let third =
            Watcher::new((caller, Holder { uid: 7, administrator: false }), None, &limits, &pools).map(drop);
        assert_eq!(third.expect_err("two are held").kind, ErrorKind::TooMuch);
        drop(watcher(8, &limits, &pools));
    }
}
