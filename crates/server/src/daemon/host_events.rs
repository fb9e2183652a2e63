//! The host's events on their way: releases go to the release agents, releases and events to watchers.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use penfold_core::{Event, Release};
use penfold_linux::host::OnChange;
use penfold_linux::release::{AgentNotice, Agents};

use crate::control::ControlServer;
use crate::escape::escape;

/// The releases and events that a host reports together.
type Batch = (Vec<Release>, Vec<Event>);

/// The receiving end of the host's events. The channel is not bounded, so the host's thread never waits.
#[derive(Debug)]
pub(super) struct HostEvents(mpsc::Receiver<Batch>);

impl HostEvents {
    /// The hook for a host that is about to start, and the receiving end of its events.
    pub(super) fn channel() -> (OnChange, HostEvents) {
        let (sender, receiver) = mpsc::channel();
        // the send fails when the daemon ends, which has no use for events
        (Box::new(move |releases, events| drop(sender.send((releases, events)))), HostEvents(receiver))
    }

    /// Forwards events on a thread of its own, until the host is gone.
    ///
    /// # Errors
    /// The error of clone(2) when no thread can be started.
    pub(super) fn forward(self, server: Arc<ControlServer>) -> io::Result<()> {
        let agents = Agents::start(note)?;
        let forward = move || {
            while let Ok((releases, events)) = self.0.recv() {
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
