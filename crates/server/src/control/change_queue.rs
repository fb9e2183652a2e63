//! The changes on their way to the thread that passes them to watchers.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use penfold_core::CgroupId;

use crate::change::EngineChange;

/// The most changes that wait. Further ones are only counted.
const MOST: usize = 4096;

/// How many changes did not fit, by the directory in which they were; `None` for those of subsystems.
///
/// This is bounded too: there are no more directories than cgroups.
pub(super) type MissedChanges = HashMap<Option<CgroupId>, i64>;

/// The end into which an observer of the service puts changes. It never waits.
pub(super) struct ChangeSender {
    changes: SyncSender<EngineChange>,
    missed: Arc<Mutex<MissedChanges>>,
}

/// The end that the thread of the watchers reads.
pub(super) struct ChangeReceiver {
    changes: Receiver<EngineChange>,
    missed: Arc<Mutex<MissedChanges>>,
}

/// A queue with room for `most` changes.
fn bounded(most: usize) -> (ChangeSender, ChangeReceiver) {
    let (sender, changes) = mpsc::sync_channel(most);
    let missed = Arc::new(Mutex::default());
    (ChangeSender { changes: sender, missed: Arc::clone(&missed) }, ChangeReceiver { changes, missed })
}

pub(super) fn change_queue() -> (ChangeSender, ChangeReceiver) {
    bounded(MOST)
}

impl ChangeSender {
    /// Queues a change that watchers can see, or counts it. Returns false when the other end is gone.
    pub(super) fn send(&self, change: &EngineChange) -> bool {
        let directory = match change {
            EngineChange::Made { parent, .. } | EngineChange::Removed { parent, .. } => Some(*parent),
            EngineChange::Loaded(_) | EngineChange::Unloaded(_) => None,
            _ => return true,
        };
        // Locked around both steps. The receiver locks it after each change that it takes out. So a change that is
        // counted here, beside a full queue, is seen with one of those in the queue.
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        match self.changes.try_send(change.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                *missed.entry(directory).or_default() += 1;
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

impl ChangeReceiver {
    /// Waits for a change. Returns it with those that were missed so far; `None` when no more will come.
    pub(super) fn receive(&self) -> Option<(EngineChange, MissedChanges)> {
        let change = self.changes.recv().ok()?;
        let missed = std::mem::take(&mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner));
        Some((change, missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_beyond_the_bound_is_counted_in_its_directory() {
        let (sender, receiver) = bounded(3);
        let made = |parent| EngineChange::Made {
            parent: CgroupId::from_number(parent),
            cgroup: CgroupId::from_number(99),
            name: b"x".to_vec(),
        };
        for parent in [1, 1, 1, 2, 2, 1] {
            assert!(sender.send(&made(parent)));
        }
        assert!(sender.send(&EngineChange::Loaded("x".into())));
        // no watcher sees this one
        assert!(sender.send(&EngineChange::Mounted(CgroupId::from_number(1))));
        let (first, missed) = receiver.receive().expect("a change");
        assert_eq!(first, made(1));
        let of = |parent| missed.get(&Some(CgroupId::from_number(parent))).copied();
        assert_eq!((of(1), of(2), missed.get(&None)), (Some(1), Some(2), Some(&1)));
        assert!(receiver.receive().expect("a change").1.is_empty());
        drop(receiver);
        assert!(!sender.send(&made(1)));
    }
}
