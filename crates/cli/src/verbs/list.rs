//! `penfold ls`.

use penfold_server::protocol::{CgroupInfo, ControlFileInfo, FilesCall, ListCall};
use serde::Serialize;

use crate::address::{self, CgroupAddress};
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Failure, Outcome, each};
use crate::output::{self, TextTable, mode};
use crate::verbs::EXIT_STATUS;

/// Lists the cgroups directly below an address, and with -a the control files.
///
/// Without an address: the top of every hierarchy.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold ls
  penfold ls -la pids:/build
  penfold ls -R --json /

{EXIT_STATUS}"))]
pub(crate) struct LsArguments {
    /// Mode, owner, members and children of each.
    #[arg(short, long)]
    long: bool,

    /// The control files too.
    #[arg(short, long)]
    all: bool,

    /// Everything below, not only the next level.
    #[arg(short = 'R', long)]
    recursive: bool,

    /// The cgroup itself instead of the cgroups below it.
    #[arg(short, long, conflicts_with = "recursive")]
    directory: bool,

    /// As one JSON document.
    #[arg(long)]
    json: bool,

    /// The cgroups above those to list: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

/// One address with the cgroups below it, and its files.
#[derive(Debug, Serialize)]
struct Listing {
    address: String,
    cgroups: Vec<CgroupInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<ControlFileInfo>>,
}

pub(crate) fn run(arguments: &LsArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let addresses = address::or_all_roots(&mut remote, &arguments.cgroups)?;
    let several = addresses.len() > 1 || arguments.cgroups.is_empty();
    let mut listings = Vec::new();
    let mut first = true;
    let outcome = each(&addresses, |address| {
        let listing = listing(&mut remote, arguments, address)?;
        if arguments.json {
            listings.push(listing);
            return Ok(());
        }
        let head = if several && !arguments.directory { format!("{address}\n") } else { String::new() };
        let gap = if first || head.is_empty() { "" } else { "\n" };
        first = false;
        output::write(format!("{gap}{head}{}", text(arguments, &listing)).as_bytes())
    })?;
    if arguments.json {
        output::json(&listings)?;
    }
    Ok(outcome)
}

fn listing(
    remote: &mut EngineConnection,
    arguments: &LsArguments,
    address: &CgroupAddress,
) -> Result<Listing, Failure> {
    let depth = match (arguments.directory, arguments.recursive) {
        (true, _) => Some(0),
        (false, true) => None,
        (false, false) => Some(1),
    };
    let recursive = depth.is_none().then_some(true);
    let mut cgroups = remote.call(&ListCall { cgroup: address.0.clone(), recursive, depth })?.cgroups;
    // the first is the cgroup itself
    if !arguments.directory && !cgroups.is_empty() {
        cgroups.remove(0);
    }
    let files =
        if arguments.all { Some(remote.call(&FilesCall { cgroup: address.0.clone() })?.files) } else { None };
    Ok(Listing { address: address.0.clone(), cgroups, files })
}

fn text(arguments: &LsArguments, listing: &Listing) -> String {
    let name = |one: &CgroupInfo| {
        if arguments.recursive || arguments.directory {
            one.path.clone()
        } else {
            one.path.rsplit('/').next().unwrap_or_default().to_owned()
        }
    };
    let files = listing.files.iter().flatten();
    if !arguments.long {
        let names = listing.cgroups.iter().map(|one| format!("{}\n", name(one)));
        return names.chain(files.map(|file| format!("{}\n", file.name))).collect();
    }
    let mut table = TextTable::new(&["MODE", ">UID", ">GID", ">TASKS", ">CHILDREN", "NAME"]);
    for one in &listing.cgroups {
        let owner = &one.owner;
        let numbers = [owner.uid, owner.gid, one.tasks, one.children].map(|number| number.to_string());
        let [uid, gid, tasks, children] = numbers;
        table.row([mode(owner.mode, true), uid, gid, tasks, children, name(one)]);
    }
    for file in files {
        let [uid, gid] = [file.owner.uid, file.owner.gid].map(|number| number.to_string());
        let none = String::new;
        table.row([mode(file.owner.mode, false), uid, gid, none(), none(), file.name.clone()]);
    }
    table.text()
}
