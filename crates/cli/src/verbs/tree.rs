//! `penfold tree`.

use std::fmt::Write as _;

use penfold_server::protocol::{CgroupInfo, ListCall};

use crate::address::{self, CgroupAddress};
use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::number_arguments::levels;
use crate::output;
use crate::verbs::EXIT_STATUS;

/// Shows cgroups as a tree, with the number of tasks in each.
///
/// Without an address: every hierarchy.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold tree
  penfold tree -L 2 pids:/ci

{EXIT_STATUS}"))]
pub(crate) struct TreeArguments {
    /// The number of levels to show below the address.
    #[arg(short = 'L', long, value_name = "LEVELS", value_parser = levels)]
    level: Option<i64>,

    /// As one JSON document: a list of cgroups for each address, each before its children.
    #[arg(long)]
    json: bool,

    /// The cgroups at the top: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

pub(crate) fn run(arguments: &TreeArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let addresses = address::or_all_roots(&mut remote, &arguments.cgroups)?;
    let mut trees = Vec::new();
    let outcome = each(&addresses, |address| {
        let recursive = arguments.level.is_none().then_some(true);
        let call = ListCall { cgroup: address.0.clone(), recursive, depth: arguments.level };
        let cgroups = remote.call(&call)?.cgroups;
        if arguments.json {
            trees.push(cgroups);
            return Ok(());
        }
        output::write(draw(&address.0, &cgroups).as_bytes())
    })?;
    if arguments.json {
        output::json(&trees)?;
    }
    Ok(outcome)
}

fn depth(cgroup: &CgroupInfo) -> usize {
    cgroup.path.split('/').filter(|name| !name.is_empty()).count()
}

/// A line for each cgroup. Each cgroup must come before its children.
fn draw(address: &str, cgroups: &[CgroupInfo]) -> String {
    let Some((top, below)) = cgroups.split_first() else { return String::new() };
    let mut text = format!("{address}{}\n", members(top));
    let base = depth(top) + 1;
    let lasts = lasts(below);
    // for each level, whether its last line was the last of its directory
    let mut ended: Vec<bool> = Vec::new();
    for (one, last) in below.iter().zip(lasts) {
        ended.truncate(depth(one) - base);
        for above in &ended {
            text.push_str(if *above { "    " } else { "│   " });
        }
        let name = one.path.rsplit('/').next().unwrap_or_default();
        text.push_str(if last { "└── " } else { "├── " });
        let _ = writeln!(text, "{name}{}", members(one));
        ended.push(last);
    }
    text
}

/// For each cgroup, whether it is the last one of its parent.
fn lasts(cgroups: &[CgroupInfo]) -> Vec<bool> {
    let mut lasts = vec![false; cgroups.len()];
    // levels at which a later line continues the same directory
    let mut open: Vec<bool> = Vec::new();
    for (last, one) in lasts.iter_mut().zip(cgroups).rev() {
        let level = depth(one);
        open.resize(level + 1, false);
        *last = !open[level];
        open[level] = true;
    }
    lasts
}

fn members(cgroup: &CgroupInfo) -> String {
    match cgroup.tasks {
        0 => String::new(),
        1 => " (1 task)".to_owned(),
        many => format!(" ({many} tasks)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_branches() {
        let one = |path: &str, tasks| CgroupInfo { path: path.into(), tasks, ..CgroupInfo::default() };
        let all = [one("/", 0), one("/a", 1), one("/a/b", 0), one("/a/b/c", 2), one("/a/d", 0), one("/e", 0)];
        let expected = "\
pids:/
├── a (1 task)
│   ├── b
│   │   └── c (2 tasks)
│   └── d
└── e
";
        assert_eq!(draw("pids:/", &all), expected);
        assert_eq!(draw("x:/e", &all[5..]), "x:/e\n");
        assert_eq!(draw("x:/a", &all[1..5]), "x:/a (1 task)\n├── b\n│   └── c (2 tasks)\n└── d\n");
    }
}
