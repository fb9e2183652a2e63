//! `penfold subsystems` and `penfold hierarchies`.

use std::process::ExitCode;

use penfold_server::protocol::{HierarchiesCall, SubsystemsCall};

use serde::Serialize;

use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::output::{self, TextTable};
use crate::verbs::EXIT_STATUS;

/// Lists the subsystems (controllers) that are loaded, and the hierarchy that each is bound to.
///
/// Hierarchy 0 is that of subsystems that are not bound. The origin is "built in", "module" with its file, or "disabled"
/// for one that `penfold serve --disable` names.
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

#[derive(Serialize)]
struct SubsystemRow {
    name: String,
    hierarchy: i64,
    cgroups: i64,
    enabled: bool,
    /// The file of a module; `None` for a subsystem that is built in.
    module: Option<String>,
}

pub(crate) fn subsystems(arguments: &SubsystemsArguments, global: &GlobalOptions) -> Outcome {
    let reply = global.connect()?.call(&SubsystemsCall {})?;
    let loaded = reply.subsystems.into_iter().map(|one| SubsystemRow {
        name: one.name,
        hierarchy: one.hierarchy,
        cgroups: one.cgroups,
        enabled: true,
        module: one.module,
    });
    let disabled = reply.disabled.into_iter().map(|name| SubsystemRow {
        name,
        hierarchy: 0,
        cgroups: 1,
        enabled: false,
        module: None,
    });
    let all: Vec<SubsystemRow> = loaded.chain(disabled).collect();
    if arguments.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = TextTable::new(&["SUBSYSTEM", ">HIERARCHY", ">CGROUPS", "ORIGIN", "FILE"]);
    for one in all {
        let origin = match (one.enabled, &one.module) {
            (false, _) => "disabled",
            (true, None) => "built in",
            (true, Some(_)) => "module",
        };
        let file = one.module.unwrap_or_else(|| "-".to_owned());
        let [hierarchy, cgroups] = [one.hierarchy, one.cgroups].map(|number| number.to_string());
        table.row([one.name, hierarchy, cgroups, origin.to_owned(), file]);
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
