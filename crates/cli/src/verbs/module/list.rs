//! `penfold module list`.

use std::process::ExitCode;

use penfold_server::protocol::{ListModulesCall, Module};

use crate::failure::Outcome;
use crate::output::{self, Table};
use crate::remote::Global;
use crate::verbs::EXIT_STATUS;

/// Lists the modules that are loaded, in the order of their loading.
///
/// HIERARCHY is the number of the hierarchy that a module is bound to, 0 for none. REFS is 1 while one holds it, and HOLDER
/// says which: it is mounted, or it is not but has cgroups still. OVERRUNS counts callbacks that took longer than their
/// time, 100 ms.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Arguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Outcome {
    let all = global.connect()?.call(&ListModulesCall {})?.modules;
    if arguments.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["MODULE", "VERSION", ">HIERARCHY", ">REFS", ">OVERRUNS", "PATH", "HOLDER"]);
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    for one in all {
        let Module { name, version, path, hierarchy, references, holder, overruns, .. } = one;
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
    Ok(ExitCode::SUCCESS)
}
