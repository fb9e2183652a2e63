//! The host's events on their way: releases go to the release agents, releases and events to watchers.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use penfold_core::{Event, Release};
use penfold_linux::host::OnChange;
use penfold_linux::release::{AgentNotice, Agents};

use crate::control::ControlServer;
use crate::escape::escape;

/// The releases and events that a host reports together.
type Batch = (Vec<Release>, Vec<Event>);

/// The most bytes of events, and of releases, that wait. Paths may be long, and a move can fill and empty many cgroups.
const MOST: usize = 16 << 20;

/// The receiving end of the host's events. The host's thread never waits: it leaves out what is too much.
#[derive(Debug)]
pub(super) struct HostEvents {
    batches: mpsc::Receiver<Batch>,
    waiting: Arc<WaitingBytes>,
}

/// The bytes of all that is in the channel.
#[derive(Debug, Default)]
struct WaitingBytes {
    events: AtomicUsize,
    releases: AtomicUsize,
}

impl WaitingBytes {
    /// Counts a batch. Leaves its events out if they are too much, with their number instead, and releases too.
    fn add(&self, (mut releases, mut events): Batch) -> Batch {
        let bytes = bytes_of_events(&events);
        if self.events.fetch_add(bytes, Ordering::AcqRel) + bytes > MOST {
            self.events.fetch_sub(bytes, Ordering::AcqRel);
            let lost =
                events.iter().map(|event| if let Event::Lost(count) = event { *count } else { 1 }).sum();
            events = vec![Event::Lost(lost)];
        }
        releases.retain(|release| {
            let bytes = bytes_of_release(release);
            let fits = self.releases.fetch_add(bytes, Ordering::AcqRel) + bytes <= MOST;
            if !fits {
                self.releases.fetch_sub(bytes, Ordering::AcqRel);
                note(AgentNotice::Dropped(release.clone()));
            }
            fits
        });
        (releases, events)
    }

    fn remove(&self, (releases, events): &Batch) {
        self.events.fetch_sub(bytes_of_events(events), Ordering::AcqRel);
        self.releases.fetch_sub(releases.iter().map(bytes_of_release).sum(), Ordering::AcqRel);
    }
}

fn bytes_of_events(events: &[Event]) -> usize {
    let path = |event: &Event| match event {
        Event::Populated { path, .. } => path.len(),
        Event::LimitHit { path, file, .. } => path.len() + file.len(),
        _ => 0,
    };
    events
        .iter()
        .filter(|event| !matches!(event, Event::Lost(_)))
        .map(|event| size_of::<Event>() + path(event))
        .sum()
}

fn bytes_of_release(release: &Release) -> usize {
    size_of::<Release>() + release.path.len() + release.agent.len()
}

impl HostEvents {
    /// The hook for a host that is about to start, and the receiving end of its events.
    pub(super) fn channel() -> (OnChange, HostEvents) {
        let (sender, batches) = mpsc::channel();
        let waiting = Arc::new(WaitingBytes::default());
        let counted = Arc::clone(&waiting);
        // the send fails when the daemon ends, which has no use for events
        let send = move |releases, events| drop(sender.send(counted.add((releases, events))));
        (Box::new(send), HostEvents { batches, waiting })
    }

    /// Forwards events on a thread of its own, until the host is gone.
    ///
    /// # Errors
    /// The error of clone(2) when no thread can be started.
    pub(super) fn forward(self, server: Arc<ControlServer>) -> io::Result<()> {
        let agents = Agents::start(note)?;
        let forward = move || {
            while let Ok(batch) = self.batches.recv() {
                self.waiting.remove(&batch);
                let (releases, events) = batch;
                server.publish(&releases, events);
                for release in releases {
                    agents.release(release);
                }
            }
        };
        thread::Builder::new().name("penfold-publish".to_owned()).spawn(forward).map(drop)
    }
}

/// Logs a note of the release agents.
fn note(note: AgentNotice) {
    match note {
        AgentNotice::Failed(release, error) => {
            tracing::warn!(agent = escape(&release.agent), %error, "a release agent can't be run");
        }
        AgentNotice::Slow(release, pid, time) => {
            tracing::warn!(agent = escape(&release.agent), pid, "a release agent has run for {time:?}");
        }
        AgentNotice::Dropped(release) => {
            tracing::warn!(agent = escape(&release.agent), "too many releases wait; one is dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use penfold_core::CgroupId;

    use super::*;

    fn populated(length: usize) -> Event {
        let (cgroup, path) = (CgroupId::from_number(7), vec![b'x'; length]);
        Event::Populated { hierarchy: 1, cgroup, path, populated: true }
    }

    #[test]
    fn events_that_are_too_much_are_counted_as_lost() {
        let waiting = WaitingBytes::default();
        let first = waiting.add((Vec::new(), vec![populated(MOST / 2), populated(MOST / 3)]));
        assert_eq!(first.1.len(), 2);
        let second = waiting.add((Vec::new(), vec![populated(MOST / 3), Event::Lost(5), populated(1)]));
        assert_eq!(second.1, [Event::Lost(7)]);
        for batch in [first, second] {
            waiting.remove(&batch);
        }
        assert_eq!(waiting.add((Vec::new(), vec![populated(MOST / 2)])).1.len(), 1, "there is room again");
    }
}
