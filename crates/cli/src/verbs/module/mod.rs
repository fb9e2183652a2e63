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
/// A module is a shared object. MODULE is its path, which has a '/' or a '.', or its name: then libpenfold_NAME.so or NAME.so
/// is looked for in $PENFOLD_MODULES (absolute paths, separated by ':'), in the directory of penfold itself, in
/// ../lib/penfold/modules seen from there, in /usr/local/lib/penfold/modules and in /usr/lib/penfold/modules.
///
/// Its code runs with the rights of whoever loads it. So only the daemon's owner may load and unload (root, for the
/// machine's), and only a file that nobody but root and that owner can write, in directories of which the same is true.
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
