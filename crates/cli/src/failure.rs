//! How a verb ends without success: one line on standard error for each failure, and an exit status.
//!
//! The exit status follows from the kind of the failure and from whether the verb runs a command, never from words.

use std::fmt::Display;
use std::process::ExitCode;

use nix::errno::Errno;
use penfold_core::ErrorKind;
pub(crate) use penfold_server::failure::Failure;

use crate::interrupted;

/// An operation was refused, or failed.
pub(crate) const REFUSED: u8 = 1;
/// Wrong arguments; of a verb that runs a command, any failure before the command: as env(1), nohup(1) and timeout(1).
pub(crate) const OWN_FAILURE: u8 = 125;
/// The command was found and can't be executed.
const CANNOT_EXECUTE: u8 = 126;
/// The command was not found.
const NOT_FOUND: u8 = 127;

/// How a verb ends.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// The purpose of a verb, as far as its exit status depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerbPurpose {
    /// The exit status is that of a command, so that failures of penfold need one of their own.
    RunsCommand,
    /// Anything else.
    Other,
}

/// The exit status of a failure.
pub(crate) fn exit_status(kind: ErrorKind, purpose: VerbPurpose) -> u8 {
    match (purpose, kind) {
        (VerbPurpose::RunsCommand, ErrorKind::CommandNotFound) => NOT_FOUND,
        (VerbPurpose::RunsCommand, ErrorKind::CannotExecute) => CANNOT_EXECUTE,
        (VerbPurpose::RunsCommand, _) | (VerbPurpose::Other, ErrorKind::Usage) => OWN_FAILURE,
        (VerbPurpose::Other, _) => REFUSED,
    }
}

/// Reports a failure on standard error: `penfold: SUBJECT: what is wrong; what to do [ERRNO]`.
pub(crate) fn report(failure: &Failure) {
    eprintln!("penfold: {}", failure.line());
}

/// Wrong arguments.
pub(crate) fn usage(subject: impl Into<String>, detail: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Usage, Errno::EINVAL, subject, detail)
}

/// An argument that has the right form, but that can't be used.
pub(crate) fn invalid(errno: Errno, subject: impl Into<String>, detail: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidArgument, errno, subject, detail)
}

/// Acts on every operand. Each failure is reported and keeps no other operand from its turn. The exit status is that of
/// the first failure.
pub(crate) fn each<T: Display>(
    operands: impl IntoIterator<Item = T>,
    mut act: impl FnMut(&T) -> Result<(), Failure>,
) -> Outcome {
    let mut code = None;
    for operand in operands {
        if let Err(failure) = act(&operand) {
            // a failure that names nothing of its own is the operand's
            let failure =
                if failure.subject.is_empty() { failure.about(operand.to_string()) } else { failure };
            // the daemon would not answer for the other operands either
            if interrupted::ended_by().is_some() {
                return Err(failure);
            }
            report(&failure);
            code = code.or(Some(exit_status(failure.kind, VerbPurpose::Other)));
        }
    }
    Ok(code.map_or(ExitCode::SUCCESS, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_status_follows_from_kind_and_purpose() {
        for &kind in ErrorKind::ALL {
            let runs = match kind {
                ErrorKind::CommandNotFound => 127,
                ErrorKind::CannotExecute => 126,
                _ => 125,
            };
            assert_eq!(exit_status(kind, VerbPurpose::RunsCommand), runs, "{kind:?}");
            let other = if kind == ErrorKind::Usage { 125 } else { 1 };
            assert_eq!(exit_status(kind, VerbPurpose::Other), other, "{kind:?}");
        }
    }
}
