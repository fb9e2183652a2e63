//! The end of a job, and the failure of a command that never ran.

use nix::errno::Errno;
use penfold_linux::trace::{StartError, TRACER_NAME};

use super::job_socket;
use crate::failure::{CANNOT_EXECUTE, Failure, NOT_FOUND, OWN_FAILURE};
use crate::report::JobReport;

/// A job that has ended.
pub(super) struct EndedJob {
    /// The command's status, as wait(2) gives it.
    pub(super) status: i32,
    pub(super) report: JobReport,
}

/// The failure of a command that could not be started, with the exit status that shells give.
pub(super) fn not_started(error: &StartError) -> Failure {
    let code = match error {
        StartError::Exec { errno: Errno::ENOENT, .. } => NOT_FOUND,
        StartError::Exec { .. } => CANNOT_EXECUTE,
        _ => OWN_FAILURE,
    };
    let message = match error {
        StartError::Traced { tracer, pid } if tracer == TRACER_NAME => format!(
            "this runs in a job of penfold (the tracer is pid {pid}), and the engine of that job can't be asked: {} is not in \
             the environment, or its socket is out of reach; set the rules there, or run this one outside of it",
            job_socket::VARIABLE
        ),
        _ => error.to_string(),
    };
    Failure { code, ..Failure::new(message) }
}
