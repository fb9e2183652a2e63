//! `penfold module check`.

mod files;
mod refuser;
mod report;
mod trial;

use std::process::ExitCode;

use crate::failure::{Outcome, REFUSED};
use crate::modules::{ModuleOperand, log_modules_to, refused};
use crate::settings::Setting;
use crate::verbs::EXIT_STATUS;
use penfold_module::loader::inspect;
use report::{CheckReport, FaultCountingStdout};
use trial::ModuleTrial;

/// Loads a module into an engine of its own, with simulated processes, does everything to it that can happen to one, and
/// tells what it has seen. For authors.
///
/// Processes that are older than it, mkdir, attach, fork and exit, moves, forks and directories that another controller
/// refuses, reads and writes of every file, rmdir, unmounting, unloading and loading again. Real processes and files are not
/// touched, but the module's code runs as this user; who wrote the file is not asked.
///
/// Each line begins with ok, with note (to be looked at: it may be meant) or with WRONG. What the module logs, and callbacks
/// that take longer than 100 ms, are in between.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module check ./hello.so
  penfold module check ./hello.so hello.max=10 hello.max=max

{EXIT_STATUS}"))]
pub(crate) struct ModuleCheckArguments {
    /// Path or name.
    #[arg(value_name = "MODULE", value_parser = ModuleOperand::parser())]
    module: ModuleOperand,

    /// What to write into which of its files, in a cgroup with processes; a refusal is counted as wrong.
    #[arg(value_name = "FILE=VALUE")]
    settings: Vec<Setting>,
}

pub(crate) fn run(arguments: &ModuleCheckArguments) -> Outcome {
    let path = arguments.module.find()?;
    log_modules_to(FaultCountingStdout::new);
    let mut report = CheckReport::default();
    let info = inspect(&path).map_err(refused)?;
    let version = if info.version.is_empty() { String::new() } else { format!(" {}", info.version) };
    report.good("description", &format!("{}{version}: {}", info.name, info.summary))?;
    // what it does before its first load is done once more after its last: it must start anew
    if let Some(mut trial) = ModuleTrial::new(&path, &mut report)? {
        trial.exercise(&arguments.settings, &mut report)?;
        trial.reload(&path, &mut report)?;
    }
    Ok(if report.end()? { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// What an engine refused, as a line of the report.
fn error_text(error: &penfold_core::Error) -> String {
    format!("{error} [{}]", error.errno().name())
}
