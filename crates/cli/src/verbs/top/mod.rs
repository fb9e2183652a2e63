//! `penfold top`.

mod rows;
mod screen;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use self::rows::{SortKey, UsageRow, UsageSampler};
use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::Outcome;
use crate::output::{self, TextTable};
use crate::verbs::EXIT_STATUS;

/// Shows the tasks and the CPU use of cgroups, and how near they are to their limits.
///
/// CPU% is the CPU time of the cgroup and those below it between two samples, 100 for one CPU. This column needs
/// cpuacct in the hierarchy. LIMIT is the limit that is nearest to being reached, and REFUSED how often the cgroup's
/// limits have refused something.
///
/// Keys: t, c, l, p sort by tasks, CPU, limit, path; r reverses the order; arrows and pages scroll; q ends.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold top
  penfold top --sort limit pids:/
  penfold top --once --json | jq '.[] | select(.cpu_percent > 50) | .cgroup'

{EXIT_STATUS}"))]
pub(crate) struct TopArguments {
    /// Prints the table once, after two samples, instead of a live table. This is the default without a terminal.
    #[arg(short = '1', long)]
    once: bool,

    /// As one JSON document, a list of cgroups.
    #[arg(long, requires = "once")]
    json: bool,

    /// The sort key.
    #[arg(short, long, value_enum, default_value = "cpu")]
    sort: SortKey,

    /// Reverses the order.
    #[arg(short, long)]
    reverse: bool,

    /// The seconds between two samples.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// The cgroups, with those below them: [HIERARCHY:]/path. The default is all cgroups.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.05..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "0.05 to 3600 seconds".to_owned())
}

pub(crate) fn run(arguments: &TopArguments, global: &GlobalOptions) -> Outcome {
    let mut sampler = UsageSampler::new(global.connect()?, &arguments.cgroups)?;
    if !arguments.once && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        screen::show(&mut sampler, arguments.sort, arguments.reverse, arguments.interval)?;
        return Ok(ExitCode::SUCCESS);
    }
    sampler.rows()?;
    thread::sleep(arguments.interval);
    let mut rows = sampler.rows()?;
    rows::sort(&mut rows, arguments.sort, arguments.reverse);
    if arguments.json {
        output::json(&rows)?;
    } else {
        table(&rows).print()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[UsageRow]) -> TextTable {
    let mut table =
        TextTable::new(&[">TASKS", ">PROCS", ">CPU%", ">CPU TIME", "STATE", "LIMIT", ">REFUSED", "CGROUP"]);
    for row in rows {
        table.row(row.cells());
    }
    table
}
