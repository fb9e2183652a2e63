//! The time of an operation through the file view and the socket of `penfold serve`, beside the kernel's cgroup v1.

use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use penfold_benches::overhead::machine;
use penfold_benches::served::daemon::BenchDaemon;
use penfold_benches::served::kernel::{self, Directory, NamedHierarchy};
use penfold_benches::served::report::{ServedRow, text};
use penfold_benches::served::sleeping_threads::{self, SleepingThreads};
use penfold_benches::served::way::{FileWay, SocketWay};
use penfold_benches::served::{interrupted, suite};
use penfold_testkit::TempDir;

/// Compares a penfold serve with the kernel's cgroup v1: directories, attaches, reads.
///
/// Needs root, /dev/fuse, and the kernel's pids as cgroup v1. Works in directories of its own only.
#[derive(Debug, Parser)]
#[command(name = "against_kernel")]
struct AgainstKernelArguments {
    /// The program to measure; without, the workspace's is built.
    #[arg(long, value_name = "FILE")]
    penfold: Option<PathBuf>,

    /// One JSON document instead of the tables.
    #[arg(long)]
    json: bool,

    /// No new turn of a line after this many seconds; cold attaches take four times as long.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,

    /// Only the operations whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, threads] = &words[..]
        && word == sleeping_threads::ARGUMENT
    {
        return Ok(sleeping_threads::be(threads.parse()?)?);
    }
    let arguments = AgainstKernelArguments::parse();
    let penfold = arguments.penfold.clone().map_or_else(machine::build_penfold, Ok)?;
    interrupted::note_signals()?;
    kernel::own_mounts().map_err(|errno| format!("needs root, for mounts of its own: {errno}"))?;
    let tables = compare(&arguments, &penfold)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&tables)?);
    } else {
        for (title, rows) in &tables {
            println!("{}", text(title, rows));
        }
    }
    Ok(())
}

/// One table for each place of the daemon.
fn compare(
    arguments: &AgainstKernelArguments,
    penfold: &std::path::Path,
) -> io::Result<Vec<(&'static str, Vec<ServedRow>)>> {
    let cpus = machine::cpus()?;
    machine::use_cpus(&cpus[..1])?;
    let own = format!("penfold-bench-{}", std::process::id());
    let scratch = TempDir::new();

    let named = NamedHierarchy::mount(scratch.join("kernel"), &own)?;
    let in_named = Directory::make(named.root().join(&own))?;
    let in_pids = Directory::make(kernel::pids()?.join(&own))?;
    let mut daemon = BenchDaemon::start(penfold, scratch.path())?;
    let views = [scratch.join("named"), scratch.join("pids")];
    daemon.mount(&format!("none,name={own}"), &views[0])?;
    daemon.mount("pids", &views[1])?;
    let [view_named, view_pids] = views.map(|view| view.join(&own));
    fs::create_dir(&view_named)?;
    fs::create_dir(&view_pids)?;

    let mut of_kernel = FileWay::in_directories(in_named.path(), in_pids.path());
    let mut by_view = FileWay::in_directories(&view_named, &view_pids);
    let addresses = [format!("{own}:/{own}"), format!("pids:/{own}")];
    let [at_named, at_pids] = addresses;
    let mut by_socket = SocketWay::at_addresses(daemon.connect()?, at_named, at_pids);
    let mut ways: [&mut dyn penfold_benches::served::way::Way; 3] =
        [&mut of_kernel, &mut by_view, &mut by_socket];

    // Dropped before the cgroups that the threads are in.
    let moved = [SleepingThreads::start(1)?, SleepingThreads::start(1)?];
    suite::prepare(&mut ways)?;
    let time = Duration::from_secs_f64(arguments.seconds);
    let pids = moved.each_ref().map(SleepingThreads::pid);
    let titles = ["client and daemon on one CPU", "daemon on another CPU"];
    let places: Vec<_> = titles.into_iter().zip(cpus).collect();
    let mut tables = Vec::new();
    for &(title, cpu) in &places {
        daemon.use_cpu(cpu)?;
        tables.push((title, suite::measure(&mut ways, pids, &arguments.only, time)?));
    }
    let sleepers = SleepingThreads::start(suite::THREADS)?;
    suite::fill(&mut ways, &sleepers)?;
    for (&(_, cpu), (_, rows)) in places.iter().zip(&mut tables) {
        daemon.use_cpu(cpu)?;
        rows.extend(suite::measure_filled(&mut ways, pids, &arguments.only, time)?);
    }
    Ok(tables)
}
