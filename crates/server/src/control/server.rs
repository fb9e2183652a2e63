//! The state that all connections of a control socket share.

use std::sync::Arc;

use nix::unistd::geteuid;
use varlink::VarlinkService;

use super::call_counts::UserCallCounts;
use super::hub::WatchHub;
use super::limits::Limits;
use super::pool::{ClientPools, Holder};
use super::standard;
use super::viewer::Viewer;
use crate::client::{Client, Trust};
use crate::journal::Journal;
use crate::service::Service;

/// A control socket without its connections: the service behind it, its limits and its watchers. The `with_` methods
/// configure it before [`Listener::serve`](super::Listener::serve).
pub struct ControlServer {
    pub(crate) service: Service,
    pub(super) limits: Limits,
    pub(super) pools: ClientPools,
    /// Answers the calls of `org.varlink.service`.
    pub(super) standard: VarlinkService,
    pub(super) hub: Arc<WatchHub>,
    /// The calls in progress.
    pub(super) calls: UserCallCounts,
    pub(super) viewer: Option<Arc<dyn Viewer>>,
    not_restored: Vec<String>,
    journal: Option<Journal>,
}

impl ControlServer {
    /// A server of this service with the default [`Limits`], without file views and without a journal.
    pub fn new(service: Service) -> ControlServer {
        let hub = WatchHub::start(&service);
        ControlServer {
            service,
            limits: Limits::default(),
            pools: ClientPools::new(&Limits::default()),
            standard: standard::standard(),
            hub,
            calls: UserCallCounts::default(),
            viewer: None,
            not_restored: Vec::new(),
            journal: None,
        }
    }

    /// Passes releases and events of the host on to watchers.
    ///
    /// Not to be called from within the host's hook [`OnChange`](penfold_linux::host::OnChange): this looks at the
    /// engine, which the hook's caller may hold.
    pub fn publish(&self, releases: &[penfold_core::Release], events: Vec<penfold_core::Event>) {
        self.hub.publish(releases, events);
    }

    /// Sets the limits of clients.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> ControlServer {
        self.limits = limits;
        self.pools = ClientPools::new(&limits);
        self
    }

    /// Sets the implementation of the method `View`. Without it `View` answers `EOPNOTSUPP`.
    #[must_use]
    pub fn with_viewer(mut self, viewer: Arc<dyn Viewer>) -> ControlServer {
        self.viewer = Some(viewer);
        self
    }

    /// Adds a journal, whose [notes](Journal::notes) are part of `notRestored` in the reply to `Info`.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> ControlServer {
        self.journal = Some(journal);
        self
    }

    /// The client as the holder of shares in the pools.
    pub(super) fn holder(&self, client: &Client) -> Holder {
        let uid = client.caller.uid;
        // the engine of one `penfold run` has no administrator but its user
        let own = self.service.trust() == Trust::Nobody && uid == geteuid().as_raw();
        Holder { uid, administrator: client.caller.privileged || own }
    }

    pub(crate) fn not_restored(&self) -> Vec<String> {
        let notes = self.journal.as_ref().map(Journal::notes).unwrap_or_default();
        self.not_restored.iter().cloned().chain(notes).collect()
    }

    /// Adds sentences to `notRestored` in the reply to `Info`: the losses of a restore.
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
