//! `penfold run`: the main job.

mod arguments;
mod ended;
mod job_socket;
mod local;
mod parent_engine;
mod remote;
mod remote_job;
mod temporary_modules;

use std::process::ExitCode;

use penfold_linux::trace::ForwardedSignals;

pub(crate) use self::arguments::Arguments;
use self::arguments::HostName;
use self::ended::EndedJob;
use crate::failure::Failure;
use crate::remote::Global;
use crate::report::{self, Destination};

pub(crate) fn run(arguments: &Arguments, global: &Global) -> ExitCode {
    // Before any other thread exists, so that all inherit the mask.
    let signals = ForwardedSignals::block();
    match attempt(arguments, global, &signals) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code)
        }
    }
}

fn attempt(arguments: &Arguments, global: &Global, signals: &ForwardedSignals) -> Result<u8, Failure> {
    let HostName::Trace = arguments.host;
    let json = arguments.json.as_ref().map(Destination::open).transpose().map_err(Failure::own)?;
    let parent = parent_engine::find(arguments, global).map_err(Failure::before_command)?;
    let EndedJob { status, facts } = match parent {
        Some(parent) => remote::run(arguments, parent, signals)?,
        None => local::run(arguments, signals)?,
    };
    if !arguments.quiet {
        eprint!("{}", facts.text());
    }
    if let Some(file) = json {
        report::write_json(file, &facts).map_err(Failure::own)?;
    }
    Ok(report::exit_code(status))
}
