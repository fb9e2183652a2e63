//! `penfold module check`.

mod files;
mod refuser;
mod report;
mod trial;

use std::process::ExitCode;

use crate::failure::{Outcome, REFUSED};
use crate::modules::{ModuleOperand, log_modules_to};
use crate::settings::Setting;
use crate::verbs::EXIT_STATUS;
use penfold_module::loader::inspect;
use report::{CheckReport, FaultCountingStdout};
use trial::ModuleTrial;

/// Tests a module for its author: loads it into an engine with simulated processes, and does everything that can happen
/// to a module.
///
/// There are processes that are older than the module, mkdir, attach, fork and exit, and reads and writes of every
/// file. Another controller refuses moves, forks and directories after the module has agreed. Then come rmdir,
/// unmounting, unloading and loading again. Real processes and files are not touched, but the module's code runs as
/// this user. The owner of the module's file is not checked.
///
/// Each line begins with ok, with note (look at it: it may be intended) or with WRONG. The module's log is in between,
/// as are callbacks that take longer than 100 ms.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module check ./hello.so
  penfold module check ./hello.so hello.max=10 hello.max=max

{EXIT_STATUS}"))]
pub(crate) struct ModuleCheckArguments {
    /// The module's path or name.
    #[arg(value_name = "MODULE", value_parser = ModuleOperand::parser())]
    module: ModuleOperand,

    /// Files of the module and the values to write into them, in a cgroup with processes. A refusal counts as wrong.
    #[arg(value_name = "FILE=VALUE")]
    settings: Vec<Setting>,
}

pub(crate) fn run(arguments: &ModuleCheckArguments) -> Outcome {
    let path = arguments.module.find()?;
    log_modules_to(FaultCountingStdout::new);
    let mut report = CheckReport::default();
    let info = inspect(&path)?;
    let version = if info.version.is_empty() { String::new() } else { format!(" {}", info.version) };
    report.good("description", &format!("{}{version}: {}", info.name, info.summary))?;
    // the trial ends with another load: the module must start anew
    if let Some(mut trial) = ModuleTrial::new(&path, &mut report)? {
        trial.exercise(&arguments.settings, &mut report)?;
        trial.reload(&path, &mut report)?;
    }
    Ok(if report.end()? { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// The engine's error with its errno, as a line of the report.
fn error_text(error: &penfold_core::Error) -> String {
    format!("{error} [{}]", error.errno().name())
}
