//! `penfold serve`: one engine on some host, behind a control socket, until it is told to end.

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
use penfold_subsystems::load_all;
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

/// How a daemon is to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens, unless systemd has opened the socket.
    pub address: Address,
    /// What becomes of launched commands when it ends. Adopted processes always go on untraced.
    pub at_end: AtEnd,
    /// How much clients may have at once.
    pub limits: Limits,
}

/// A running daemon. It is ended by [`Daemon::stop`].
#[derive(Debug)]
pub struct Daemon {
    service: Service,
    host: Arc<dyn HostHandle>,
    listener: Listener,
    views: Arc<FileViews>,
    /// The socket's file is removed, and its lock given back, when this goes.
    socket: ListeningSocket,
    at_end: AtEnd,
    journal: Option<Journal>,
}

/// A daemon whose engine and host are there, and nobody connected yet: the moment to restore what was, and to add what
/// serves files.
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
    /// Takes the socket, starts the host, loads the controllers. Clients are served from [`PreparedDaemon::serve`] on; those
    /// that connect before wait.
    ///
    /// # Errors
    /// [`DaemonError`], the socket's first: of two daemons at one place the second does nothing.
    pub fn prepare(
        config: Config,
        start_host: impl FnOnce(OnChange) -> Result<Arc<dyn HostHandle>, StartError>,
    ) -> Result<PreparedDaemon, DaemonError> {
        let socket = ListeningSocket::take(&config.address)?;
        let (on_change, events) = HostEvents::channel();
        let host = start_host(on_change)?;
        let service = Service::new(Arc::clone(&host), Trust::Owner(geteuid().as_raw()));
        let loaded = service.with_exact(|engine, host| load_all(engine, host));
        loaded.map_err(|_| DaemonError::Ending)?.map_err(DaemonError::Load)?;
        let recorder = Arc::new(ViewRecorder::default());
        let views = Arc::new(FileViews::new(service.clone(), Some(Arc::clone(&recorder) as _)));
        Ok(PreparedDaemon { service, host, socket, config, views, recorder, events, journal: None })
    }

    /// All at once, for a daemon that restores nothing.
    ///
    /// # Errors
    /// As [`Daemon::prepare`].
    pub fn start(
        config: Config,
        start_host: impl FnOnce(OnChange) -> Result<Arc<dyn HostHandle>, StartError>,
    ) -> Result<Daemon, DaemonError> {
        Daemon::prepare(config, start_host)?.serve(None, Vec::new())
    }

    /// The way to its engine.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        self.socket.address()
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// Serves until a signal says to end, reaping what becomes this process's child meanwhile. On the thread that made
    /// `signals`, the process's first.
    ///
    /// # Errors
    /// What poll(2) gives.
    pub fn run(&self, signals: &ShutdownSignals) -> io::Result<()> {
        tracing::info!(pid = std::process::id(), "serving {}", self.address());
        // without a server manager this does nothing
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let signal = signals.wait(reaper::reap)?;
        tracing::info!("{signal}: ending");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        Ok(())
    }

    /// Ends in order: no new clients, the connections closed, the jobs as configured, the socket's file removed.
    pub fn stop(self) {
        let Daemon { host, listener, views, socket, at_end, journal, .. } = self;
        listener.stop();
        views.unmount_all();
        if let Some(journal) = journal {
            // what goes on can be taken in again by the next daemon; what is killed leaves nothing to be restored
            journal.stop(at_end == AtEnd::Leave);
        }
        if host.stop(at_end).is_err() {
            tracing::error!("the host had ended already");
        }
        drop(socket);
    }
}

impl PreparedDaemon {
    /// The way to the engine.
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

    /// Brings back what an earlier daemon has left in this directory, and keeps a journal there from now on. To be done
    /// before [`PreparedDaemon::serve`].
    ///
    /// # Errors
    /// [`DaemonError::System`] when another daemon has the directory or it can't be made. That it can't be read or written
    /// is in [`Journal::notes`].
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

    /// Serves clients from now on. `viewer` instead of the usual one; `not_restored`: what was lost of an earlier daemon.
    ///
    /// # Errors
    /// [`DaemonError::System`].
    pub fn serve(
        self,
        viewer: Option<Arc<dyn Viewer>>,
        not_restored: Vec<String>,
    ) -> Result<Daemon, DaemonError> {
        let PreparedDaemon { service, host, socket, config, views, events, journal, .. } = self;
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
