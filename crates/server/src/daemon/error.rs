//! Why there is no daemon.

use std::io;

use penfold_linux::trace::StartError;

use super::socket::SocketError;

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The socket can't be had.
    #[error(transparent)]
    Place(#[from] SocketError),
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
