//! `penfold subsystems` and `penfold hierarchies`.

use std::process::ExitCode;

use penfold_server::protocol::{HierarchiesCall, SubsystemsCall};

use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::output::{self, TextTable};
use crate::verbs::EXIT_STATUS;

/// Lists the subsystems (controllers) that are loaded, and the hierarchy that each is bound to.
///
/// Hierarchy 0 is that of subsystems that are not bound.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct SubsystemsArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// Lists the hierarchies: those that are mounted, and those that are unmounted but still have cgroups.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct HierarchiesArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn subsystems(arguments: &SubsystemsArguments, global: &GlobalOptions) -> Outcome {
    let all = global.connect()?.call(&SubsystemsCall {})?.subsystems;
    if arguments.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = TextTable::new(&["SUBSYSTEM", ">HIERARCHY", ">CGROUPS"]);
    for one in all {
        table.row([one.name, one.hierarchy.to_string(), one.cgroups.to_string()]);
    }
    table.print()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn hierarchies(arguments: &HierarchiesArguments, global: &GlobalOptions) -> Outcome {
    let all = global.connect()?.call(&HierarchiesCall {})?.hierarchies;
    if arguments.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = TextTable::new(&[">ID", "NAME", ">MOUNTS", ">CGROUPS", "SUBSYSTEMS", "OPTIONS"]);
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    for one in all {
        let [id, mounts, cgroups] = [one.id, one.mounts, one.cgroups].map(|number| number.to_string());
        table.row([id, dash(one.name), mounts, cgroups, dash(one.subsystems.join(",")), one.options]);
    }
    table.print()?;
    Ok(ExitCode::SUCCESS)
}
