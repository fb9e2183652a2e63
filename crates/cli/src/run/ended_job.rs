//! The end of a job, and the failure of a command that never ran.

use std::ffi::OsString;

use penfold_linux::trace::{StartError, TRACER_NAME};

use super::job_socket;
use crate::end_status::EndStatus;
use crate::failure::Failure;
use crate::report::JobReport;

/// A job that has ended.
pub(super) struct EndedJob {
    /// The command's own end.
    pub(super) status: EndStatus,
    pub(super) report: JobReport,
}

/// The command's program as it was given, for messages.
pub(super) fn program_name(command: &[OsString]) -> String {
    command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The failure of a command that could not be started, or whose end nobody has seen.
pub(super) fn not_started(error: StartError, program: &str) -> Failure {
    let detail = match &error {
        StartError::Traced { tracer, pid } if tracer == TRACER_NAME => Some(format!(
            "would run in a job of penfold (the tracer is pid {pid}) whose engine can't be reached: {} is not in the \
             environment, or its socket is out of reach; set the rules there, or run this one outside of it",
            job_socket::VARIABLE
        )),
        _ => None,
    };
    let about_command =
        matches!(error, StartError::Command | StartError::Traced { .. } | StartError::StatusUnknown);
    let failure = Failure::from(error);
    let failure = if about_command { failure.about(program) } else { failure };
    match detail {
        Some(detail) => Failure { detail, ..failure },
        None => failure,
    }
}
