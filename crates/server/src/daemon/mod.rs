//! `penfold serve`: one engine on the trace host, behind a control socket, until it is told to end.

mod keep;
mod news;
mod place;
mod reaper;
mod signals;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::geteuid;
use penfold_core::Engine;
use penfold_linux::trace::{AtEnd, StartError, TraceHost, Workshop};
use penfold_subsystems::load_all;
use sd_notify::NotifyState;

use crate::address::Address;
use crate::client::Trust;
use crate::control::{Limits, Listener, Service, Viewer};
use crate::desk::Desk;
use crate::journal::Journal;
use crate::view::FileViews;
use keep::Recorder;
use news::News;

pub use place::{PlaceError, Taken};
pub use signals::Signals;

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

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The socket can't be had.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The engine does not take its controllers.
    #[error("the controllers can't be loaded: {0}")]
    Load(penfold_core::Error),
    /// The host does not start.
    #[error(transparent)]
    Host(#[from] StartError),
    /// It was told to end before it could begin.
    #[error("the daemon is ending")]
    Ending,
    /// A thread, a descriptor or a signal could not be had.
    #[error("the daemon can't start: {0}")]
    System(#[from] io::Error),
}

/// A running daemon. It is ended by [`Daemon::stop`].
#[derive(Debug)]
pub struct Daemon {
    desk: Desk,
    host: TraceHost,
    listener: Listener,
    views: Arc<FileViews>,
    /// The socket's file is removed, and its lock given back, when this goes.
    place: Taken,
    at_end: AtEnd,
    journal: Option<Journal>,
}

/// A daemon whose engine and host are there, and nobody connected yet: the moment to restore what was, and to add what
/// serves files.
#[derive(Debug)]
pub struct Prepared {
    desk: Desk,
    host: TraceHost,
    place: Taken,
    config: Config,
    views: Arc<FileViews>,
    recorder: Arc<Recorder>,
    news: News,
    journal: Option<Journal>,
}

impl Daemon {
    /// Takes the socket, loads the controllers, starts the host. Clients are served from [`Prepared::serve`] on; those
    /// that connect before wait.
    ///
    /// # Errors
    /// [`DaemonError`], the socket's first: of two daemons at one place the second does nothing.
    pub fn prepare(config: Config) -> Result<Prepared, DaemonError> {
        let place = Taken::take(&config.address)?;
        let mut workshop = Workshop::new(false);
        let (engine, host): (&mut Engine, _) = workshop.parts();
        load_all(engine, host).map_err(DaemonError::Load)?;
        let news = News::of(&mut workshop);
        let host = TraceHost::start(workshop)?;
        let desk = Desk::new(host.clone(), Trust::Owner(geteuid().as_raw()));
        let recorder = Arc::new(Recorder::default());
        let views = Arc::new(FileViews::new(desk.clone(), Some(Arc::clone(&recorder) as _)));
        Ok(Prepared { desk, host, place, config, views, recorder, news, journal: None })
    }

    /// All at once, for a daemon that restores nothing.
    ///
    /// # Errors
    /// As [`Daemon::prepare`].
    pub fn start(config: Config) -> Result<Daemon, DaemonError> {
        Daemon::prepare(config)?.serve(None, Vec::new())
    }

    /// The way to its engine.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        self.place.address()
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
    pub fn run(&self, signals: &Signals) -> io::Result<()> {
        tracing::info!(pid = std::process::id(), "serving {}", self.address());
        // without a service manager this does nothing
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let signal = signals.wait(reaper::reap)?;
        tracing::info!("{signal}: ending");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        Ok(())
    }

    /// Ends in order: no new clients, the connections closed, the jobs as configured, the socket's file removed.
    pub fn stop(self) {
        let Daemon { host, listener, views, place, at_end, journal, .. } = self;
        listener.stop();
        views.unmount_all();
        if let Some(journal) = journal {
            // what goes on can be taken in again by the next daemon; what is killed leaves nothing to be restored
            journal.stop(at_end == AtEnd::Leave);
        }
        if host.stop(at_end).is_err() {
            tracing::error!("the host had ended already");
        }
        drop(place);
    }
}

impl Prepared {
    /// The way to the engine.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The directory `state` beside the socket; `None` for a socket without a file.
    pub fn state_beside_socket(&self) -> Option<PathBuf> {
        match self.place.address() {
            Address::Path(socket) => Some(socket.parent()?.join("state")),
            Address::Abstract(_) => None,
        }
    }

    /// Brings back what an earlier daemon has left in this directory, and keeps a journal there from now on. To be done
    /// before [`Prepared::serve`].
    ///
    /// # Errors
    /// [`DaemonError::System`] when another daemon has the directory or it can't be made. That it can't be read or written
    /// is in [`Journal::notes`].
    pub fn restore(&mut self, state: &Path) -> Result<Journal, DaemonError> {
        let journal = keep::keep(&self.desk, &self.host, state, &self.views, &self.recorder)?;
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
        let Prepared { desk, host, place, config, views, news, journal, .. } = self;
        let mut service =
            Service::new(desk.clone()).with_limits(config.limits).with_not_restored(not_restored);
        if let Some(journal) = &journal {
            service = service.with_journal(journal.clone());
        }
        service = service.with_viewer(viewer.unwrap_or_else(|| Arc::clone(&views) as Arc<dyn Viewer>));
        let service = Arc::new(service);
        news.tell(Arc::clone(&service))?;
        let listener = Listener::serve(place.socket()?, service)?;
        Ok(Daemon { desk, host, listener, views, place, at_end: config.at_end, journal })
    }
}
