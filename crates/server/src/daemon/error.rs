//! The failure to start a daemon.

use std::io;

use penfold_linux::trace::StartError;

use super::socket::SocketError;

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The socket can't be taken.
    #[error(transparent)]
    Place(#[from] SocketError),
    /// The engine refuses a built-in controller.
    #[error("the controllers can't be loaded: {0}")]
    Load(penfold_core::Error),
    /// The host can't start.
    #[error(transparent)]
    Host(#[from] StartError),
    /// The host ended before the daemon could begin.
    #[error("the daemon is ending")]
    Ending,
    /// The system refused a thread, a descriptor, a signal or a file.
    #[error("the daemon can't start: {0}")]
    System(#[from] io::Error),
}
