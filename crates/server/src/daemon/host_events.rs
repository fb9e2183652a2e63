//! What the host notices, passed on: releases to the release agents, releases and events to watchers.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use penfold_core::{Event, Release};
use penfold_linux::host::OnChange;
use penfold_linux::release::{AgentNotice, Agents};

use crate::control::ControlServer;
use crate::escape::escape;

type Batch = (Vec<Release>, Vec<Event>);

/// What the host has put aside. Its thread waits for nobody.
#[derive(Debug)]
pub(super) struct HostEvents(mpsc::Receiver<Batch>);

impl HostEvents {
    /// The hook for a host that is about to start, and where its events come out.
    pub(super) fn channel() -> (OnChange, HostEvents) {
        let (sender, receiver) = mpsc::channel();
        // there is no receiver any more when the daemon ends
        (Box::new(move |releases, events| drop(sender.send((releases, events)))), HostEvents(receiver))
    }

    /// Passes them on from now on, until the host is gone.
    ///
    /// # Errors
    /// When no thread can be started.
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
