//! What a verb can end with when it does not succeed: one line on standard error and an exit status.

use std::fmt::Display;
use std::process::ExitCode;

use penfold_server::address::NoAddress;
use penfold_server::connection::{CallError, ConnectError};

/// An operation was refused, or failed.
pub(crate) const REFUSED: u8 = 1;
/// What went wrong before a command ran, wrong arguments too: as env(1), nohup(1) and timeout(1).
pub(crate) const OWN_FAILURE: u8 = 125;
/// The command was found and can't be executed.
pub(crate) const CANNOT_EXECUTE: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// How a verb ends.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Why a verb has failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
    /// The errno that the daemon answered.
    pub(crate) errno: Option<nix::errno::Errno>,
}

impl Failure {
    /// An operation that failed here, not in the daemon.
    pub(crate) fn new(message: impl Display) -> Failure {
        Failure { code: REFUSED, message: message.to_string(), errno: None }
    }

    /// What kept a command from running.
    pub(crate) fn own(message: impl Display) -> Failure {
        Failure { code: OWN_FAILURE, ..Failure::new(message) }
    }

    /// The same, as the failure of a verb that runs a command.
    pub(crate) fn before_command(self) -> Failure {
        Failure { code: OWN_FAILURE, ..self }
    }

    /// Names the operand, which the daemon's message may not.
    pub(crate) fn of(self, operand: impl Display) -> Failure {
        Failure { message: format!("{operand}: {}", self.message), ..self }
    }

    /// Tells it.
    pub(crate) fn tell(&self) {
        eprintln!("penfold: {}", self.message);
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let message = match &error {
            CallError::Refused(refused) => refused.line(),
            other => other.to_string(),
        };
        Failure { code: REFUSED, message, errno: error.errno() }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        Failure::new(error)
    }
}

impl From<NoAddress> for Failure {
    fn from(error: NoAddress) -> Failure {
        Failure::new(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(error)
    }
}

/// Does something for every operand. Each failure is told, none keeps the others from being tried, and the exit status
/// is that of the first.
pub(crate) fn each<T: Display>(
    operands: impl IntoIterator<Item = T>,
    mut act: impl FnMut(&T) -> Result<(), Failure>,
) -> Outcome {
    let mut code = ExitCode::SUCCESS;
    let mut failed = false;
    for operand in operands {
        if let Err(failure) = act(&operand) {
            let failure = failure.of(&operand);
            failure.tell();
            if !failed {
                (failed, code) = (true, ExitCode::from(failure.code));
            }
        }
    }
    Ok(code)
}
