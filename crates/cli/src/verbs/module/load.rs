//! `penfold module load` and `penfold module unload`.

use penfold_server::protocol::{LoadModuleCall, UnloadModuleCall};

use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::modules::ModuleOperand;
use crate::verbs::EXIT_STATUS;

/// Loads modules into the daemon, while everything runs.
///
/// Each module is a new controller, bound to no hierarchy until it is mounted. Every task of the daemon is in the
/// controller's root from the start. The daemon opens the file. The directories in $PENFOLD_MODULES of this command are
/// searched for a NAME first, then those of the daemon. A daemon that was killed and starts again loads its modules
/// again.
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module load net_cls && penfold mount -o net_cls
  penfold module load ./hello.so

{EXIT_STATUS}"))]
pub(crate) struct ModuleLoadArguments {
    /// The modules' paths or names.
    #[arg(required = true, value_name = "MODULE", value_parser = ModuleOperand::parser())]
    modules: Vec<ModuleOperand>,
}

/// Unloads modules.
///
/// A module that is bound to a hierarchy is busy (EBUSY) until the hierarchy is unmounted and has no cgroups any more.
/// The module's state is lost: a module that is loaded again starts from its defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct ModuleUnloadArguments {
    /// The modules' names, as `penfold module list` shows them.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn load(arguments: &ModuleLoadArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.modules, |module| remote.call(&LoadModuleCall { module: module.for_daemon() }).map(drop))
}

pub(crate) fn unload(arguments: &ModuleUnloadArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.names, |name| remote.call(&UnloadModuleCall { name: (*name).clone() }).map(drop))
}
