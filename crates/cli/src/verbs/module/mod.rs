//! `penfold module`.

mod check;
mod info;
mod list;
mod load;

use clap::Subcommand;

use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::skeleton;
use crate::verbs::EXIT_STATUS;

/// Begins, tries, shows, loads and unloads modules: controllers from files, while everything runs.
///
/// A module is a shared object. MODULE is its path, which has a '/' or a '.', or its name. For a name,
/// libpenfold_NAME.so or NAME.so is searched for in $PENFOLD_MODULES (absolute paths, separated by ':') and in the
/// directory of penfold itself. The next places are ../lib/penfold/modules from there, /usr/local/lib/penfold/modules
/// and /usr/lib/penfold/modules.
///
/// A module's code runs with the rights of the process that loads it. So only the owner of a daemon may load and unload
/// modules: root, for the machine's daemon. Only root and this owner may be able to write the file and the directories
/// that it is in.
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold module new wheel
  penfold module load net_cls && penfold mount -o net_cls
  penfold module list
  penfold module info ./hello.so
  penfold module check ./hello.so hello.max=10
  penfold run --module ./hello.so -s hello.max=10 -- make

{EXIT_STATUS}"))]
pub(crate) struct ModuleArguments {
    #[command(subcommand)]
    verb: ModuleVerb,
}

#[derive(Debug, Subcommand)]
enum ModuleVerb {
    Load(load::ModuleLoadArguments),
    Unload(load::ModuleUnloadArguments),
    List(list::ModuleListArguments),
    Info(info::ModuleInfoArguments),
    Check(check::ModuleCheckArguments),
    New(skeleton::ModuleNewArguments),
}

pub(crate) fn run(arguments: &ModuleArguments, global: &GlobalOptions) -> Outcome {
    match &arguments.verb {
        ModuleVerb::Load(arguments) => load::load(arguments, global),
        ModuleVerb::Unload(arguments) => load::unload(arguments, global),
        ModuleVerb::List(arguments) => list::run(arguments, global),
        ModuleVerb::Info(arguments) => info::run(arguments),
        ModuleVerb::Check(arguments) => check::run(arguments),
        ModuleVerb::New(arguments) => skeleton::run(arguments),
    }
}
