//! `cgget`.

use std::process::ExitCode;

use penfold_server::protocol::{FilesCall, HierarchyInfo};

use super::exit_status::EXIT_STATUS;
use super::set::controller;
use super::spec::{GroupSpec, MountedHierarchies, at};
use crate::engine_connection::EngineConnection;
use crate::failure::{Failure, Outcome, REFUSED, report, usage};
use crate::output;
use crate::verbs::get;

/// Prints parameters of control groups, as libcgroup's cgget(1).
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  cgget -r pids.max -r pids.current student
  cgget -nv -r pids.max student
  cgget -g pids:/student

{EXIT_STATUS}"))]
pub(crate) struct CggetArguments {
    /// No headers, which are the names of the groups.
    #[arg(short = 'n')]
    no_headers: bool,

    /// Only the values, without the parameters' names.
    #[arg(short, long)]
    values_only: bool,

    /// The parameters of all controllers.
    #[arg(short, long)]
    all: bool,

    /// A parameter to print. May be given again.
    #[arg(short = 'r', long = "variable", value_name = "NAME")]
    parameters: Vec<String>,

    /// The controllers whose parameters to print, or CONTROLLERS:PATH for those of one group. May be given again.
    #[arg(short, value_name = "CONTROLLERS[:PATH]")]
    groups: Vec<String>,

    /// The groups' paths.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// One group to print: its path, single parameters, and the controllers of which all parameters are printed.
struct PrintedGroup<'a> {
    path: String,
    parameters: &'a [String],
    hierarchies: Vec<(&'a HierarchyInfo, Vec<String>)>,
}

pub(super) fn run(arguments: &CggetArguments, remote: &mut EngineConnection) -> Outcome {
    let hierarchies = MountedHierarchies::fetch(remote)?;
    let mut failed = false;
    for block in blocks(arguments, &hierarchies)? {
        match text(arguments, remote, &hierarchies, &block) {
            Ok(text) if arguments.no_headers => output::write(text.as_bytes())?,
            Ok(text) => output::write(format!("{}:\n{text}\n", block.path).as_bytes())?,
            Err(failure) => {
                report(&failure);
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn blocks<'a>(
    arguments: &'a CggetArguments,
    hierarchies: &'a MountedHierarchies,
) -> Result<Vec<PrintedGroup<'a>>, Failure> {
    let found = |names: &[String]| -> Result<Vec<(&'a HierarchyInfo, Vec<String>)>, Failure> {
        let each = names.iter().flat_map(|name| match name.as_str() {
            "*" => hierarchies.0.iter().flat_map(|one| one.subsystems.clone()).collect(),
            name => vec![name.to_owned()],
        });
        each.map(|name| Ok((hierarchies.with_controller(&name)?, vec![name]))).collect()
    };
    let (mut blocks, mut controllers) = (Vec::new(), Vec::new());
    for group in &arguments.groups {
        if group.contains(':') {
            let spec: GroupSpec =
                group.parse().map_err(|error: String| usage(format!("-g {group}"), error))?;
            let hierarchies = found(&spec.controllers)?;
            blocks.push(PrintedGroup { path: spec.path, parameters: &arguments.parameters, hierarchies });
        } else {
            controllers.extend(group.split(',').map(str::to_owned));
        }
    }
    if blocks.is_empty() && arguments.paths.is_empty() {
        return Err(usage("PATH", "is missing; give the path of a group, or -g CONTROLLERS:PATH"));
    }
    if arguments.all || (controllers.is_empty() && arguments.parameters.is_empty()) {
        controllers = hierarchies.0.iter().flat_map(|one| one.subsystems.clone()).collect();
    }
    for path in &arguments.paths {
        let (path, parameters) = (path.clone(), arguments.parameters.as_slice());
        blocks.push(PrintedGroup { path, parameters, hierarchies: found(&controllers)? });
    }
    Ok(blocks)
}

fn text(
    arguments: &CggetArguments,
    remote: &mut EngineConnection,
    hierarchies: &MountedHierarchies,
    block: &PrintedGroup<'_>,
) -> Result<String, Failure> {
    let mut text = String::new();
    for parameter in block.parameters {
        let cgroup = at(hierarchies.with_controller(controller(parameter)?)?, &block.path);
        let content = get::read(remote, &cgroup, parameter)?;
        text += &line(arguments, parameter, &content);
    }
    for (hierarchy, controllers) in &block.hierarchies {
        let cgroup = at(hierarchy, &block.path);
        let files = remote.call(&FilesCall { cgroup: cgroup.0.clone() })?.files;
        let is_of = |name: &str| controllers.iter().any(|one| name.starts_with(&format!("{one}.")));
        for file in files.iter().filter(|file| file.owner.mode & 0o400 != 0 && is_of(&file.name)) {
            let content = get::read(remote, &cgroup, &file.name)?;
            text += &line(arguments, &file.name, &content);
        }
    }
    Ok(text)
}

/// A parameter with its value. Further lines of the value begin with a tab.
fn line(arguments: &CggetArguments, name: &str, content: &str) -> String {
    let value = content.strip_suffix('\n').unwrap_or(content).replace('\n', "\n\t");
    if arguments.values_only { format!("{value}\n") } else { format!("{name}: {value}\n") }
}
