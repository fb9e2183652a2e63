//! Bytes for one cgroup and one task when there are a million of each.
//!
//! Read from the resident set before and after, so that everything counts: padding, the allocator's own
//! bookkeeping, tables half empty. Each line is measured in a fresh process, for an allocator that was used before
//! gives other figures.

use std::fs;
use std::process::{Command, ExitCode};

use nix::unistd::{SysconfVar, sysconf};
use penfold_benches::controllers::Controllers;
use penfold_benches::world::{BenchWorld, Shape};
use penfold_testkit::SimWorld;

/// The name of a line, and a function that returns the bytes for each object. The function sets up first; only the
/// making of the objects is measured.
struct MemoryLine {
    name: &'static str,
    measure: fn() -> f64,
}

const LINES: [MemoryLine; 7] = [
    MemoryLine { name: "cgroup, no controller", measure: || cgroups(Controllers::None) },
    MemoryLine { name: "cgroup, pids", measure: || cgroups(Controllers::Pids) },
    MemoryLine { name: "cgroup, all controllers", measure: || cgroups(Controllers::All) },
    MemoryLine { name: "task, all in one cgroup: core", measure: || tasks(Controllers::All, false) },
    MemoryLine { name: "task, each in its own cgroup: core", measure: || tasks(Controllers::None, true) },
    MemoryLine {
        name: "task, each in its own cgroup, all controllers: core",
        measure: || tasks(Controllers::All, true),
    },
    MemoryLine { name: "task, all in one cgroup: simulated host and core", measure: simulated },
];

/// The resident set in bytes.
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().expect("the kernel has a page size");
    pages * size as f64
}

/// Bytes for each of `count` objects that `make` makes.
fn each(count: usize, make: impl FnOnce()) -> f64 {
    let before = resident();
    make();
    (resident() - before) / count as f64
}

fn cgroups(controllers: Controllers) -> f64 {
    let mut world = BenchWorld::new(controllers, 1);
    let made = Shape::MANY.cgroups() + Shape::MANY.directories;
    // The list of ids is the benchmark's, not the engine's: written now, it is resident before.
    world.cgroups = vec![world.root; made];
    world.cgroups.clear();
    each(made, || world.grow(Shape::MANY))
}

fn tasks(controllers: Controllers, spread: bool) -> f64 {
    let count = Shape::MANY.cgroups();
    let mut world = BenchWorld::of(controllers, Shape::MANY, count + 1);
    let ends = std::mem::take(&mut world.cgroups);
    let (_, set) = world.spawn(ends[0]);
    each(count, || {
        for &end in &ends {
            if spread {
                world.spawn(end);
            } else {
                let task = world.sim.host.new_task();
                world.sim.engine.join(&mut world.sim.host, task, set);
            }
        }
    })
}

fn simulated() -> f64 {
    let mut world = SimWorld::new();
    Controllers::All.load(&mut world.engine, &mut world.host).expect("the controllers load");
    let shell = world.spawn();
    let count = Shape::MANY.cgroups();
    each(count, || {
        for _ in 0..count {
            world.fork(shell);
        }
    })
}

/// Measures one line in a process of its own.
fn in_fresh_process(line: usize) -> Option<f64> {
    let own = std::env::current_exe().ok()?;
    let output = Command::new(own).arg(line.to_string()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn main() -> ExitCode {
    if let Some(line) = std::env::args().nth(1) {
        let Some(line) = line.parse().ok().and_then(|line: usize| LINES.get(line)) else {
            eprintln!("memory: takes no argument");
            return ExitCode::FAILURE;
        };
        println!("{}", (line.measure)());
        return ExitCode::SUCCESS;
    }
    println!("{:>8}  for each of {}", "bytes", Shape::MANY.cgroups());
    for (number, line) in LINES.iter().enumerate() {
        let Some(bytes) = in_fresh_process(number) else {
            eprintln!("memory: the process that measures {:?} failed", line.name);
            return ExitCode::FAILURE;
        };
        println!("{bytes:>8.1}  {}", line.name);
    }
    ExitCode::SUCCESS
}
