//! The daemon of `penfold serve`: one engine on one host, behind a control socket, until a signal ends it.
//!
//! [`Daemon::prepare`] takes the socket and starts the host. [`PreparedDaemon::restore`] restores an earlier daemon's
//! state, [`PreparedDaemon::serve`] lets clients in, [`Daemon::run`] waits for a signal, [`Daemon::stop`] ends in
//! order.

mod error;
mod host_events;
mod reaper;
mod restore_and_record;
mod signals;
mod socket;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::geteuid;
use penfold_linux::host::{HostHandle, OnChange};
use penfold_linux::trace::{AtEnd, StartError};
use penfold_subsystems::{is_built_in, load_those};
use sd_notify::NotifyState;

use crate::address::Address;
use crate::client::Trust;
use crate::control::{ControlServer, Limits, Listener, Viewer};
use crate::journal::Journal;
use crate::service::Service;
use crate::view::FileViews;
use host_events::HostEvents;
use restore_and_record::ViewRecorder;

pub use error::DaemonError;
pub use signals::ShutdownSignals;
pub use socket::{ListeningSocket, SocketError};

/// The configuration of a daemon.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen at, unless systemd passes the socket.
    pub address: Address,
    /// The fate of launched commands when the daemon ends. Adopted processes always run on, untraced.
    pub at_end: AtEnd,
    /// The limits of clients.
    pub limits: Limits,
}

/// A running daemon. [`Daemon::stop`] ends it.
#[derive(Debug)]
pub struct Daemon {
    service: Service,
    host: Arc<dyn HostHandle>,
    listener: Listener,
    views: Arc<FileViews>,
    /// Drop removes the socket's file and releases its lock.
    socket: ListeningSocket,
    at_end: AtEnd,
    journal: Option<Journal>,
}

/// A daemon with engine and host, and without clients yet: an earlier daemon's state can be restored now.
#[derive(Debug)]
pub struct PreparedDaemon {
    service: Service,
    host: Arc<dyn HostHandle>,
    socket: ListeningSocket,
    config: Config,
    views: Arc<FileViews>,
    recorder: Arc<ViewRecorder>,
    events: HostEvents,
    journal: Option<Journal>,
}

impl Daemon {
    /// Takes the socket, starts the host with `start_host`, and loads the built-in controllers. Clients that connect
    /// now wait for [`PreparedDaemon::serve`].
    ///
    /// # Errors
    /// [`DaemonError`]. The socket comes first: of two daemons at one address, the second has no other effect.
    pub fn prepare(
        config: Config,
        start_host: impl FnOnce(OnChange) -> Result<Arc<dyn HostHandle>, StartError>,
    ) -> Result<PreparedDaemon, DaemonError> {
        Daemon::prepare_without(config, Vec::new(), start_host)
    }

    /// As [`Daemon::prepare`], without the `disabled` controllers: they are not built in and no module of these names
    /// can be loaded. [`must_be_controllers`](crate::disabled::must_be_controllers) checks names.
    ///
    /// # Errors
    /// As [`Daemon::prepare`].
    pub fn prepare_without(
        config: Config,
        disabled: Vec<String>,
        start_host: impl FnOnce(OnChange) -> Result<Arc<dyn HostHandle>, StartError>,
    ) -> Result<PreparedDaemon, DaemonError> {
        let socket = ListeningSocket::take(&config.address)?;
        let (on_change, events) = HostEvents::channel();
        let host = start_host(on_change)?;
        let service = Service::new(Arc::clone(&host), Trust::Owner(geteuid().as_raw()));
        let disabled = service.modules().disabled.get_or_init(|| disabled);
        let wanted = |name: &str| is_built_in(name) && !disabled.iter().any(|disabled| disabled == name);
        let loaded = service.with_exact(|engine, host| load_those(engine, host, wanted));
        loaded.map_err(|_| DaemonError::Ending)?.map_err(DaemonError::Load)?;
        let recorder = Arc::new(ViewRecorder::default());
        let views = Arc::new(FileViews::new(service.clone(), Some(Arc::clone(&recorder) as _)));
        Ok(PreparedDaemon { service, host, socket, config, views, recorder, events, journal: None })
    }

    /// Prepares a daemon and serves clients, without a restore and without a journal.
    ///
    /// # Errors
    /// As [`Daemon::prepare`].
    pub fn start(
        config: Config,
        start_host: impl FnOnce(OnChange) -> Result<Arc<dyn HostHandle>, StartError>,
    ) -> Result<Daemon, DaemonError> {
        Daemon::prepare(config, start_host)?.serve(None, Vec::new())
    }

    /// The service, which has the engine.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The address that the daemon listens at.
    pub fn address(&self) -> &Address {
        self.socket.address()
    }

    /// The number of connected clients.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// Serves until a signal ends the daemon, and reaps orphans that become children of this process. Call it on the
    /// thread that made `signals`, the first of the process.
    ///
    /// # Errors
    /// The errors of poll(2) and read(2).
    pub fn run(&self, signals: &ShutdownSignals) -> io::Result<()> {
        tracing::info!(pid = std::process::id(), "serving {}", self.address());
        // without a service manager this does nothing
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let signal = signals.wait(reaper::reap)?;
        tracing::info!("{signal}: ending");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        Ok(())
    }

    /// Ends in order: closes the connections, unmounts the views, completes the journal, and stops the host, which ends
    /// jobs as configured. Then removes the socket's file.
    pub fn stop(self) {
        let Daemon { host, listener, views, socket, at_end, journal, .. } = self;
        listener.stop();
        views.unmount_all();
        if let Some(journal) = journal {
            // the next daemon can adopt commands that run on; commands that are killed leave nothing to restore
            journal.stop(at_end == AtEnd::Leave);
        }
        if host.stop(at_end).is_err() {
            tracing::error!("the host had ended already");
        }
        drop(socket);
    }
}

impl PreparedDaemon {
    /// The service, which has the engine.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The directory `state` beside the socket; `None` for a socket without a file.
    pub fn state_beside_socket(&self) -> Option<PathBuf> {
        match self.socket.address() {
            Address::Path(socket) => Some(socket.parent()?.join("state")),
            Address::Abstract(_) => None,
        }
    }

    /// Restores the state that an earlier daemon has left in the directory `state`, and keeps a journal there from now
    /// on.
    ///
    /// # Errors
    /// [`DaemonError::System`] when another daemon has locked the directory, or it can't be made. A journal that can't
    /// be read or written is no error: [`Journal::notes`] says so.
    pub fn restore(&mut self, state: &Path) -> Result<Journal, DaemonError> {
        let journal = restore_and_record::restore_and_record(
            &self.service,
            &self.host,
            state,
            &self.views,
            &self.recorder,
        )?;
        self.journal = Some(journal.clone());
        Ok(journal)
    }

    /// Serves clients from now on. `viewer` replaces the daemon's own file views. `not_restored` adds sentences to the
    /// losses in the reply to `Info`.
    ///
    /// # Errors
    /// [`DaemonError::System`] when no thread can be started.
    pub fn serve(
        self,
        viewer: Option<Arc<dyn Viewer>>,
        not_restored: Vec<String>,
    ) -> Result<Daemon, DaemonError> {
        let PreparedDaemon { service, host, socket, config, views, events, journal, .. } = self;
        // from here on: whatever an earlier daemon had is restored, and counts
        let quota = Some(config.limits.cgroups_of_user);
        service.with_exact(|engine, _| engine.set_quota(quota)).map_err(|_| DaemonError::Ending)?;
        let mut server =
            ControlServer::new(service.clone()).with_limits(config.limits).with_not_restored(not_restored);
        if let Some(journal) = &journal {
            server = server.with_journal(journal.clone());
        }
        server = server.with_viewer(viewer.unwrap_or_else(|| Arc::clone(&views) as Arc<dyn Viewer>));
        let server = Arc::new(server);
        events.forward(Arc::clone(&server))?;
        let listener = Listener::serve(socket.socket()?, server)?;
        Ok(Daemon { service, host, listener, views, socket, at_end: config.at_end, journal })
    }
}
