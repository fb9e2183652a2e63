//! The control socket: every operation, over varlink, with the rights of who asks.
//!
//! A thread for each connection reads one message after the other and answers it, so that a client that is slow, silent
//! or stopped holds up nobody but itself. What a client can make the daemon keep is bounded by [`Limits`].

mod ask;
mod confinement;
mod directories;
mod dispatch;
mod exec;
mod files;
mod hierarchies;
mod inspect;
mod limits;
mod listener;
mod messages;
mod modules;
mod path;
mod replies;
mod session;
mod signals;
mod usage;
mod viewer;
mod watch;

use std::sync::Arc;

use varlink::VarlinkService;

use crate::desk::Desk;
use crate::journal::Journal;

pub use limits::Limits;
pub use listener::Listener;
pub use viewer::Viewer;

/// What the connections of a socket share.
pub struct Service {
    pub(crate) desk: Desk,
    limits: Limits,
    /// Answers `org.varlink.service`.
    standard: VarlinkService,
    hub: Arc<watch::Hub>,
    viewer: Option<Arc<dyn Viewer>>,
    not_restored: Vec<String>,
    journal: Option<Journal>,
}

impl Service {
    /// A service at this desk.
    pub fn new(desk: Desk) -> Service {
        let hub = watch::Hub::start(&desk);
        Service {
            desk,
            limits: Limits::default(),
            standard: dispatch::standard(),
            hub,
            viewer: None,
            not_restored: Vec::new(),
            journal: None,
        }
    }

    /// Tells those who watch of what [`Workshop::on_change`](penfold_linux::trace::Workshop::on_change) has handed on. Not
    /// to be called from within that hook.
    pub fn hear(&self, releases: &[penfold_core::Release], events: Vec<penfold_core::Event>) {
        self.hub.hear(releases, events);
    }

    /// With other bounds than the usual ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Service {
        self.limits = limits;
        self
    }

    /// With somebody who serves hierarchies as files.
    #[must_use]
    pub fn with_viewer(mut self, viewer: Arc<dyn Viewer>) -> Service {
        self.viewer = Some(viewer);
        self
    }

    /// With a journal, whose notes are in `Info`.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Service {
        self.journal = Some(journal);
        self
    }

    pub(crate) fn not_restored(&self) -> Vec<String> {
        let notes = self.journal.as_ref().map(Journal::notes).unwrap_or_default();
        self.not_restored.iter().cloned().chain(notes).collect()
    }

    /// With what could not be restored of an earlier daemon, for `Info`.
    #[must_use]
    pub fn with_not_restored(mut self, lines: Vec<String>) -> Service {
        self.not_restored = lines;
        self
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("limits", &self.limits).finish_non_exhaustive()
    }
}
