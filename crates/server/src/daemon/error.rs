//! The failure to start a daemon.

use std::io;

use penfold_linux::trace::{Gone, StartError};

use super::socket::SocketError;
use crate::failure::Failure;

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The socket can't be taken.
    #[error(transparent)]
    Place(#[from] SocketError),
    /// The engine refuses a built-in controller.
    #[error(transparent)]
    Load(penfold_core::Error),
    /// The host can't start.
    #[error(transparent)]
    Host(#[from] StartError),
    /// The host ended before the daemon could begin.
    #[error("daemon: is ending")]
    Ending,
    /// The system refused a thread, a descriptor, a signal or a file.
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
