//! How a command ended.

use nix::errno::Errno;
use penfold_core::ErrorKind;

use crate::failure::Failure;

/// The end of a command, from a status as wait(2) gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndStatus {
    /// The command exited with this code.
    Exited(u8),
    /// This signal killed the command.
    Killed(u8),
}

impl EndStatus {
    /// Reads a status of the command `program`.
    ///
    /// # Errors
    /// [`ErrorKind::StatusUnknown`] for a number that is no status of an end. It is no success.
    pub(crate) fn of_wait(status: i64, program: &str) -> Result<EndStatus, Failure> {
        match i32::try_from(status) {
            Ok(status) if libc::WIFEXITED(status) => Ok(EndStatus::Exited(libc::WEXITSTATUS(status) as u8)),
            Ok(status) if libc::WIFSIGNALED(status) => Ok(EndStatus::Killed(libc::WTERMSIG(status) as u8)),
            _ => {
                let detail = format!("has ended, and its status is not known: {status} is none");
                Err(Failure::new(ErrorKind::StatusUnknown, Errno::EPROTO, program, detail))
            }
        }
    }

    /// The exit code, if it exited.
    pub(crate) fn exit(self) -> Option<i32> {
        if let EndStatus::Exited(code) = self { Some(code.into()) } else { None }
    }

    /// The signal, if one killed it.
    pub(crate) fn signal(self) -> Option<i32> {
        if let EndStatus::Killed(signal) = self { Some(signal.into()) } else { None }
    }

    /// The exit status that shells show: the command's own, or 128 and the signal.
    pub(crate) fn code(self) -> u8 {
        match self {
            EndStatus::Exited(code) => code,
            EndStatus::Killed(signal) => 128 + signal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_that_is_no_end_is_a_failure() {
        let code = |status| {
            EndStatus::of_wait(status, "make").map(EndStatus::code).map_err(|failure| failure.line())
        };
        assert_eq!((code(0), code(41 << 8), code(9), code(0x80 | 6)), (Ok(0), Ok(41), Ok(137), Ok(134)));
        // stopped, continued, and numbers that are no status at all
        for status in [0x137f, 0xffff, 1 << 32, -1, i64::MAX] {
            let line = format!("make: has ended, and its status is not known: {status} is none [EPROTO]");
            assert_eq!(code(status), Err(line));
        }
    }
}
