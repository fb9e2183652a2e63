//! `penfold module list`.

use std::process::ExitCode;

use penfold_server::protocol::{ListModulesCall, ListModulesReply, ModuleInfo, StillMappedInfo};

use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::output::{self, TextTable};
use crate::verbs::EXIT_STATUS;

/// Lists the modules that are loaded, in the order of their loading.
///
/// HIERARCHY is the number of the hierarchy that a module is bound to, 0 for none. REFS is 1 while a hierarchy holds
/// the module. HOLDER says which: the hierarchy is mounted, or is unmounted but still has cgroups. OVERRUNS counts
/// callbacks that took longer than 100 ms. Below the table are modules that were unloaded but stay mapped in the
/// daemon, and why.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct ModuleListArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ModuleListArguments, global: &GlobalOptions) -> Outcome {
    let ListModulesReply { modules: all, still_mapped } = global.connect()?.call(&ListModulesCall {})?;
    if arguments.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table =
        TextTable::new(&["MODULE", "VERSION", ">HIERARCHY", ">REFS", ">OVERRUNS", "PATH", "HOLDER"]);
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    for one in all {
        let ModuleInfo { name, version, path, hierarchy, references, holder, overruns, .. } = one;
        let hierarchy = hierarchy.map_or(0, |hierarchy| hierarchy.id);
        let [hierarchy, references, overruns] =
            [hierarchy, references, overruns].map(|number| number.to_string());
        table.row([
            name,
            dash(version),
            hierarchy,
            references,
            overruns,
            path,
            dash(holder.unwrap_or_default()),
        ]);
    }
    table.print()?;
    for StillMappedInfo { name, path, reason } in still_mapped {
        output::write(format!("{name} ({path}) is unloaded but stays mapped: {reason}\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
