//! `penfold module load` and `penfold module unload`.

use penfold_server::protocol::{LoadModuleCall, UnloadModuleCall};

use crate::engine_connection::GlobalOptions;
use crate::failure::{Failure, Outcome, each};
use crate::modules::ModuleOperand;
use crate::verbs::EXIT_STATUS;

/// Loads modules into the daemon, while everything runs.
///
/// Each is a new controller, bound to no hierarchy until it is mounted. Every task of the daemon's is in its root from
/// the start. The daemon opens the file; a NAME it looks for itself, but for $PENFOLD_MODULES of this command, which comes
/// first. A daemon that was killed and starts again loads what it had.
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module load net_cls && penfold mount -o net_cls
  penfold module load ./hello.so

{EXIT_STATUS}"))]
pub(crate) struct ModuleLoadArguments {
    /// Path or name.
    #[arg(required = true, value_name = "MODULE", value_parser = ModuleOperand::parser())]
    modules: Vec<ModuleOperand>,
}

/// Unloads modules.
///
/// One that is bound to a hierarchy is refused (EBUSY) until that is unmounted and has no cgroups any more. Its state goes:
/// loaded again, it starts from its defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct ModuleUnloadArguments {
    /// Name, as `penfold module list` shows it.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn load(arguments: &ModuleLoadArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.modules, |module| {
        let loaded = remote.call(&LoadModuleCall { module: module.for_daemon() });
        loaded.map(drop).map_err(|failure| without_operand(failure, module))
    })
}

/// The daemon's message begins with the path as a rule, and so does what is made of it here.
fn without_operand(mut failure: Failure, module: &ModuleOperand) -> Failure {
    if let Some(rest) = failure.message.strip_prefix(&format!("{module}: ")) {
        failure.message = rest.to_owned();
    }
    failure
}

pub(crate) fn unload(arguments: &ModuleUnloadArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.names, |name| remote.call(&UnloadModuleCall { name: (*name).clone() }).map(drop))
}
