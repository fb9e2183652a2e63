//! `penfold run`: one command in a cgroup of its own.

mod arguments;
mod ended_job;
mod job_socket;
mod local;
mod parent_engine;
mod remote;
mod remote_job;
mod temporary_modules;

use std::process::ExitCode;

use penfold_linux::trace::ForwardedSignals;

use self::arguments::HostName;
pub(crate) use self::arguments::RunArguments;
use self::ended_job::EndedJob;
use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::interrupted::{GRACE, interruption};
use crate::report::{self, Destination};

pub(crate) fn run(arguments: &RunArguments, global: &GlobalOptions) -> Outcome {
    // Blocked before any other thread exists, so that all threads inherit the mask.
    let signals = ForwardedSignals::block();
    // the job's cgroups are left behind where the daemon gets no time to answer
    interruption()?.set_grace(GRACE);
    let HostName::Trace = arguments.host;
    let json = arguments.json.as_ref().map(Destination::open).transpose()?;
    let EndedJob { status, report } = match parent_engine::find(arguments, global)? {
        Some(parent) => remote::run(arguments, parent, &signals)?,
        None => local::run(arguments, &signals)?,
    };
    if !arguments.quiet {
        eprint!("{}", report.text());
    }
    if let Some(file) = json {
        report::write_json(file, &report)?;
    }
    Ok(ExitCode::from(status.code()))
}
