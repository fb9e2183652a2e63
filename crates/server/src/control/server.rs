//! What the connections of a control socket share.

use std::sync::Arc;

use varlink::VarlinkService;

use super::hub::WatchHub;
use super::limits::Limits;
use super::standard;
use super::viewer::Viewer;
use crate::journal::Journal;
use crate::service::Service;

/// What the connections of a socket share.
pub struct ControlServer {
    pub(crate) service: Service,
    pub(super) limits: Limits,
    /// Answers `org.varlink.service`.
    pub(super) standard: VarlinkService,
    pub(super) hub: Arc<WatchHub>,
    pub(super) viewer: Option<Arc<dyn Viewer>>,
    not_restored: Vec<String>,
    journal: Option<Journal>,
}

impl ControlServer {
    /// A server of this service.
    pub fn new(service: Service) -> ControlServer {
        let hub = WatchHub::start(&service);
        ControlServer {
            service,
            limits: Limits::default(),
            standard: standard::standard(),
            hub,
            viewer: None,
            not_restored: Vec::new(),
            journal: None,
        }
    }

    /// Publishes to watchers what [`OnChange`](penfold_linux::host::OnChange) has handed on. Not to be called from within
    /// that hook.
    pub fn publish(&self, releases: &[penfold_core::Release], events: Vec<penfold_core::Event>) {
        self.hub.publish(releases, events);
    }

    /// With other bounds than the usual ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> ControlServer {
        self.limits = limits;
        self
    }

    /// With somebody who serves hierarchies as files.
    #[must_use]
    pub fn with_viewer(mut self, viewer: Arc<dyn Viewer>) -> ControlServer {
        self.viewer = Some(viewer);
        self
    }

    /// With a journal, whose notes are in `Info`.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> ControlServer {
        self.journal = Some(journal);
        self
    }

    pub(crate) fn not_restored(&self) -> Vec<String> {
        let notes = self.journal.as_ref().map(Journal::notes).unwrap_or_default();
        self.not_restored.iter().cloned().chain(notes).collect()
    }

    /// With what could not be restored of an earlier daemon, for `Info`.
    #[must_use]
    pub fn with_not_restored(mut self, lines: Vec<String>) -> ControlServer {
        self.not_restored = lines;
        self
    }
}

impl std::fmt::Debug for ControlServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlServer").field("limits", &self.limits).finish_non_exhaustive()
    }
}
