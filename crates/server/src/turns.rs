//! One queue for each user, served in turn: no user waits for more than one piece of work of every other user.
//!
//! A piece of work is one request to the engine, or one slice of a long answer. A user's pieces come in the order of
//! their arrival. The administrator has a queue like any other user, and so has the daemon itself.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// The owner of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QueueOwner {
    /// The daemon's own threads: journal, metrics, watchers.
    Daemon,
    /// All connections of one user.
    User(u32),
    /// One file view. The kernel passes on its requests one after the other, whichever user made them. Requests of one
    /// user must not hold up those of others behind them, so they do not wait beside that user's connections.
    #[cfg(any(test, feature = "daemon"))]
    View(u64),
}

/// Places for pieces of work, given to the queues in turn.
#[derive(Debug)]
pub(crate) struct Turns {
    /// The most places that one owner has at a time.
    of_owner: usize,
    table: Mutex<TurnTable>,
}

#[derive(Debug)]
struct TurnTable {
    free: usize,
    /// The owners that have a place, or wait.
    queues: HashMap<QueueOwner, WaitingQueue>,
    /// The owners that wait and may have one more place, in the order of their turns. An owner joins at the end of this
    /// line, so each of the others is ahead of it at most once.
    line: VecDeque<QueueOwner>,
}

#[derive(Debug, Default)]
struct WaitingQueue {
    places: usize,
    /// In the order of arrival.
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    thread: Thread,
    called: AtomicBool,
}

/// A place. Drop gives it to the next owner in the line.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    owner: QueueOwner,
}

impl Turns {
    /// As many places as `places`, at most `of_owner` of them for each owner.
    pub(crate) fn new(places: usize, of_owner: usize) -> Turns {
        let table = TurnTable { free: places, queues: HashMap::new(), line: VecDeque::new() };
        Turns { of_owner, table: Mutex::new(table) }
    }

    fn lock(&self) -> MutexGuard<'_, TurnTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the owner's turn. With one place for each owner, the caller must not have one already.
    pub(crate) fn enter(&self, owner: QueueOwner) -> Turn<'_> {
        // a statement of its own, so that the lock is not held during the wait
        let waiter = self.lock().arrive(owner, self.of_owner);
        if let Some(waiter) = waiter {
            // other users of the thread's token may wake it early
            while !waiter.called.load(Ordering::Acquire) {
                thread::park();
            }
        }
        Turn { turns: self, owner }
    }

    fn give_back(&self, owner: QueueOwner) {
        let next = self.lock().give_back(owner, self.of_owner);
        if let Some(waiter) = next {
            waiter.called.store(true, Ordering::Release);
            waiter.thread.unpark();
        }
    }

    /// The number of pieces of work that wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.lock().queues.values().map(|queue| queue.waiting.len()).sum()
    }
}

impl Waiter {
    fn here() -> Arc<Waiter> {
        Arc::new(Waiter { thread: thread::current(), called: AtomicBool::new(false) })
    }
}

impl TurnTable {
    /// Takes a place for an owner, or returns the waiter to wait with.
    fn arrive(&mut self, owner: QueueOwner, of_owner: usize) -> Option<Arc<Waiter>> {
        let queue = self.queues.entry(owner).or_default();
        if self.free > 0 && queue.places < of_owner {
            self.free -= 1;
            queue.places += 1;
            return None;
        }
        let waiter = Waiter::here();
        queue.waiting.push_back(Arc::clone(&waiter));
        if queue.waiting.len() == 1 && queue.places < of_owner {
            self.line.push_back(owner);
        }
        Some(waiter)
    }

    /// Takes a place back, and returns the waiter that gets it.
    fn give_back(&mut self, owner: QueueOwner, of_owner: usize) -> Option<Arc<Waiter>> {
        self.free += 1;
        let queue = self.queues.get_mut(&owner)?;
        queue.places -= 1;
        // with fewer places than allowed the owner is in the line already
        if !queue.waiting.is_empty() && queue.places + 1 == of_owner {
            self.line.push_back(owner);
        } else if queue.waiting.is_empty() && queue.places == 0 {
            self.queues.remove(&owner);
        }
        let next = self.line.pop_front()?;
        let queue = self.queues.get_mut(&next)?;
        let waiter = queue.waiting.pop_front()?;
        queue.places += 1;
        self.free -= 1;
        if !queue.waiting.is_empty() && queue.places < of_owner {
            self.line.push_back(next);
        }
        Some(waiter)
    }
}

impl Turn<'_> {
    /// Lets the others in the line go first, and waits for the next turn. Without any it costs next to nothing.
    pub(crate) fn pass(&mut self) {
        let alone = {
            let table = self.turns.lock();
            table.line.is_empty() && table.queues.get(&self.owner).is_none_or(|own| own.waiting.is_empty())
        };
        if !alone {
            self.turns.give_back(self.owner);
            // forgotten, because the old place is given back already
            std::mem::forget(self.turns.enter(self.owner));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.give_back(self.owner);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::Scope;

    use penfold_testkit::wait_until;

    use super::*;

    const A: QueueOwner = QueueOwner::User(1);
    const B: QueueOwner = QueueOwner::User(2);
    const C: QueueOwner = QueueOwner::View(1);

    /// Starts a thread that waits for a turn, notes its name in `served`, and ends the turn. Returns when it waits.
    fn queue<'scope>(
        scope: &'scope Scope<'scope, '_>,
        turns: &'scope Turns,
        (owner, name): (QueueOwner, &'static str),
        served: &mpsc::Sender<&'static str>,
    ) {
        let (before, served) = (turns.waiting(), served.clone());
        scope.spawn(move || {
            let turn = turns.enter(owner);
            served.send(name).expect("the test receives");
            drop(turn);
        });
        wait_until("it waits", || turns.waiting() > before);
    }

    /// The order in which these arrivals are served, after `first`, which has the only place when they arrive.
    fn order(first: QueueOwner, arrivals: &[(QueueOwner, &'static str)]) -> Vec<&'static str> {
        let turns = Turns::new(1, 1);
        let (served, names) = mpsc::channel();
        thread::scope(|scope| {
            let turn = turns.enter(first);
            for arrival in arrivals {
                queue(scope, &turns, *arrival, &served);
            }
            drop(turn);
        });
        drop(served);
        names.into_iter().collect()
    }

    #[test]
    fn user_waits_for_one_call_of_every_other() {
        let arrivals = [(A, "a1"), (A, "a2"), (A, "a3"), (B, "b1"), (B, "b2"), (C, "c1")];
        assert_eq!(order(A, &arrivals), ["b1", "c1", "a1", "b2", "a2", "a3"]);
        assert_eq!(order(QueueOwner::Daemon, &arrivals), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn calls_of_one_user_keep_their_order() {
        let arrivals = [(A, "1"), (A, "2"), (A, "3"), (A, "4"), (A, "5")];
        assert_eq!(order(A, &arrivals), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn pass_lets_every_waiting_user_go_first() {
        let turns = Turns::new(1, 1);
        let (served, names) = mpsc::channel();
        thread::scope(|scope| {
            let mut turn = turns.enter(A);
            turn.pass();
            for arrival in [(A, "a"), (B, "b1"), (B, "b2")] {
                queue(scope, &turns, arrival, &served);
            }
            turn.pass();
            assert_eq!(names.try_iter().collect::<Vec<_>>(), ["b1", "a", "b2"]);
        });
        assert_eq!(turns.lock().free, 1);
        assert!(turns.lock().queues.is_empty());
    }

    #[test]
    fn user_has_one_place_of_several() {
        let turns = Turns::new(2, 1);
        let (served, names) = mpsc::channel();
        thread::scope(|scope| {
            let turn = turns.enter(A);
            queue(scope, &turns, (A, "a"), &served);
            drop(turns.enter(B));
            assert!(names.try_recv().is_err(), "the second place is not the same user's");
            drop(turn);
        });
        assert_eq!((names.recv(), turns.lock().free), (Ok("a"), 2));
    }
}
