//! What the host notices, handed on: releases to the release agents, both releases and events to who watches.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use penfold_core::{Event, Release};
use penfold_linux::release::{Agents, Note};
use penfold_linux::trace::Workshop;

use crate::control::Service;
use crate::escape::escape;

type Batch = (Vec<Release>, Vec<Event>);

/// What the tracer thread has put aside. It waits for nobody.
#[derive(Debug)]
pub(super) struct News(mpsc::Receiver<Batch>);

impl News {
    /// Of a host that is about to start.
    pub(super) fn of(workshop: &mut Workshop) -> News {
        let (tell, hear) = mpsc::channel();
        // nobody hears it any more when the daemon ends
        workshop.on_change(move |releases, events| drop(tell.send((releases, events))));
        News(hear)
    }

    /// Hands it on from now on, until the host is gone.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn tell(self, service: Arc<Service>) -> io::Result<()> {
        let agents = Agents::start(note)?;
        let tell = move || {
            while let Ok((releases, events)) = self.0.recv() {
                service.hear(&releases, events);
                for release in releases {
                    agents.release(release);
                }
            }
        };
        thread::Builder::new().name("penfold-news".to_owned()).spawn(tell).map(drop)
    }
}

fn note(note: Note) {
    match note {
        Note::Failed(release, error) => {
            tracing::warn!(agent = escape(&release.agent), %error, "a release agent can't be run");
        }
        Note::Slow(release, pid, time) => {
            tracing::warn!(agent = escape(&release.agent), pid, "a release agent has run for {time:?}");
        }
        Note::Dropped(release) => {
            tracing::warn!(agent = escape(&release.agent), "too many releases wait; one is dropped");
        }
    }
}
