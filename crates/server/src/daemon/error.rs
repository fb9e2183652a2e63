//! Why there is no daemon.

use std::io;

use penfold_linux::trace::{Gone, StartError};

use super::socket::SocketError;
use crate::failure::Failure;

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The socket can't be had.
    #[error(transparent)]
    Place(#[from] SocketError),
    /// The engine does not take its controllers.
    #[error(transparent)]
    Load(penfold_core::Error),
    /// The host does not start.
    #[error(transparent)]
    Host(#[from] StartError),
    /// It was told to end before it could begin.
    #[error("daemon: is ending")]
    Ending,
    /// A thread, a descriptor or a signal could not be had.
    #[error("daemon: can't start: {0}")]
    System(#[from] io::Error),
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Failure {
        match error {
            DaemonError::Place(error) => error.into(),
            DaemonError::Load(error) => error.into(),
            DaemonError::Host(error) => error.into(),
            DaemonError::Ending => Gone.into(),
            DaemonError::System(error) => Failure::io("daemon", error).with_prefix("can't start: "),
        }
    }
}
