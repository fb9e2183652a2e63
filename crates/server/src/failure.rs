//! The failure of a request: the errno of a system call, and a message that helps.

use nix::errno::Errno;
use penfold_linux::trace::{AdoptError, ExecError, Gone, StartError};
use penfold_module::loader::LoadError;

/// The failure of an operation, for a client: an errno, and a message that names the object, the operation and a
/// remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The errno that the system call would have given.
    pub errno: Errno,
    /// The failure in words.
    pub message: String,
}

impl Failure {
    /// A failure that the server itself has found.
    pub fn new(errno: Errno, message: impl Into<String>) -> Failure {
        Failure { errno, message: message.into() }
    }
}

impl From<penfold_core::Error> for Failure {
    fn from(error: penfold_core::Error) -> Failure {
        Failure::new(Errno::from_raw(error.errno().number()), error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure::new(Errno::from_raw(error.errno().number()), error.to_string())
    }
}

impl From<AdoptError> for Failure {
    fn from(error: AdoptError) -> Failure {
        Failure::new(error.errno(), error.to_string())
    }
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Failure {
        Failure::new(Errno::ESHUTDOWN, "the daemon is ending")
    }
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Failure {
        let errno = match &error {
            ExecError::Attach(error) => Errno::from_raw(error.errno().number()),
            ExecError::Start(error) => errno_of(error),
            ExecError::Gone(_) => Errno::ESHUTDOWN,
        };
        Failure::new(errno, error.to_string())
    }
}

fn errno_of(error: &StartError) -> Errno {
    match error {
        StartError::Command => Errno::EINVAL,
        StartError::Traced { .. } => Errno::EPERM,
        StartError::System { errno, .. }
        | StartError::Exec { errno, .. }
        | StartError::Seize(errno)
        | StartError::Filter(errno)
        | StartError::User(errno)
        | StartError::Session(errno)
        | StartError::Streams(errno)
        | StartError::Limits(errno)
        | StartError::Directory(errno) => *errno,
    }
}
