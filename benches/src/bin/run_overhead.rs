//! The overhead of `penfold run`: each workload as a ratio to the bare command in the same run.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use penfold_benches::overhead::report::{OverheadRow, text};
use penfold_benches::overhead::runner::{Bounds, measure};
use penfold_benches::overhead::{machine, workload};
use penfold_testkit::TempDir;

/// Compares `penfold run` with the bare command: forks, execs, threads, a build, a command that does none of it.
#[derive(Debug, Parser)]
#[command(name = "run_overhead")]
struct RunOverheadArguments {
    /// The program to measure; without, the workspace's is built.
    #[arg(long, value_name = "FILE")]
    penfold: Option<PathBuf>,

    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,

    /// The most rounds of one line.
    #[arg(long, default_value_t = 15)]
    rounds: usize,

    /// No new round of a line after this many seconds; 12 lines are measured.
    #[arg(long, default_value_t = 9.0)]
    seconds: f64,

    /// Only the workloads whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = RunOverheadArguments::parse();
    let penfold = arguments.penfold.clone().map_or_else(machine::build_penfold, Ok)?;
    let scratch = TempDir::new();
    let mut workloads = workload::prepare(scratch.path())?;
    workloads.push(workload::shortest());
    workloads.retain(|workload| workload.name.contains(&arguments.only));

    let cpus = machine::cpus()?;
    let bounds = Bounds { rounds: arguments.rounds, time: Duration::from_secs_f64(arguments.seconds) };
    let mut rows = Vec::new();
    for workload in &workloads {
        for used in [&cpus[..1], &cpus[..]] {
            machine::use_cpus(used)?;
            rows.push(OverheadRow::new(workload, used.len(), &measure(&penfold, workload, bounds)?));
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", text(&rows));
    }
    Ok(())
}
