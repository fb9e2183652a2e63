//! Without processes: the cost of a callback in core, and of a load among a million tasks.

use std::path::Path;
use std::time::Instant;

use penfold_core::Result;
use penfold_module::loader::{Controller, LoadError};
use penfold_testkit::SimWorld;

use super::build::Built;
use super::twin::ForkCounter;
use super::{Durations, Interested};
use crate::controllers::Controllers;
use crate::world::{BenchWorld, Shape};

/// css_sets and, in each, tasks while modules come and go; few in a debug build, which only checks that all runs.
pub const SETS: Shape = if cfg!(debug_assertions) {
    Shape { directories: 10, in_each: 10 }
} else {
    Shape { directories: 100, in_each: 1_000 }
};
const IN_EACH: usize = 10;
/// Forks and exits that are measured together.
const COUNT: u32 = 200_000;

/// Loads the counter: the one compiled in, with callbacks if `told`, or the one of the file `module`.
///
/// # Errors
/// As [`Controller::open`].
///
/// # Panics
/// When the engine refuses it, which it has no reason to.
pub fn load(
    world: &mut BenchWorld,
    interested: Interested,
    told: bool,
    module: &Path,
) -> Result<(), LoadError> {
    let SimWorld { engine, host, .. } = &mut world.sim;
    let loaded = match (interested, told) {
        (Interested::Nobody, _) => return Ok(()),
        (Interested::BuiltIn, true) => engine.load(host, ForkCounter::<true>::default()),
        (Interested::BuiltIn, false) => engine.load(host, ForkCounter::<false>::default()),
        (Interested::Module, _) => engine.load(host, Controller::open(module)?),
    };
    loaded.expect("the slot is free");
    Ok(())
}

/// The time of one fork and exit of a child beside each of [`Interested::ALL`], in turns.
///
/// # Errors
/// As [`load`].
pub fn fork_and_exit(built: &Built, rounds: usize) -> Result<[Durations; 3], LoadError> {
    let mut times = [Durations::default(), Durations::default(), Durations::default()];
    for _ in 0..rounds {
        for (interested, times) in Interested::ALL.into_iter().zip(&mut times) {
            let mut world = BenchWorld::of(Controllers::None, Shape::ONE, 3);
            load(&mut world, interested, true, &built.module(true))?;
            let (parent, set) = world.spawn(world.cgroups[0]);
            let child = world.sim.host.new_task();
            world.sim.fork_and_exit(parent, set, child);
            let began = Instant::now();
            for _ in 0..COUNT {
                world.sim.fork_and_exit(parent, set, child);
            }
            times.add(began.elapsed() / COUNT);
        }
    }
    Ok(times)
}

/// The times of loads and unloads.
#[derive(Debug, Default)]
pub struct LoadTimes {
    /// Copying and mapping the file, its own load: the engine goes on meanwhile.
    pub open: Durations,
    /// The engine's part, in which it does nothing else.
    pub load: Durations,
    /// All of it, with the unmapping: the engine does nothing else.
    pub unload: Durations,
}

/// Load and unload among 100,000 css_sets with ten tasks each.
///
/// # Errors
/// As [`Controller::open`].
///
/// # Panics
/// When the engine refuses, which it has no reason to.
pub fn load_and_unload(
    built: &Built,
    world: &mut BenchWorld,
    interested: Interested,
    told: bool,
    rounds: usize,
) -> Result<LoadTimes, LoadError> {
    let mut times = LoadTimes::default();
    for _ in 0..rounds {
        let began = Instant::now();
        let opened = match interested {
            Interested::Module => Some(Controller::open(&built.module(told))?),
            _ => None,
        };
        times.open.add(began.elapsed());
        let SimWorld { engine, host, .. } = &mut world.sim;
        let began = Instant::now();
        let loaded = match opened {
            Some(controller) => engine.load(host, controller),
            None if told => engine.load(host, ForkCounter::<true>::default()),
            None => engine.load(host, ForkCounter::<false>::default()),
        };
        times.load.add(began.elapsed());
        loaded.expect("the slot is free");
        let began = Instant::now();
        let unloaded = engine.unload(host, "counter");
        times.unload.add(began.elapsed());
        unloaded.expect("it is not bound");
    }
    Ok(times)
}

/// A world with that many css_sets and ten times as many tasks.
///
/// # Panics
/// When the engine refuses, which it has no reason to.
pub fn full() -> BenchWorld {
    let tasks = SETS.cgroups() * IN_EACH;
    let mut world = BenchWorld::of(Controllers::None, SETS, tasks + 1);
    let cgroups = world.cgroups.clone();
    for _ in 0..IN_EACH {
        for &cgroup in &cgroups {
            world.spawn(cgroup);
        }
    }
    assert!(world.sim.engine.css_set_count() > SETS.cgroups());
    world
}

/// Checks that a callback counts every fork and exit: a measurement without callbacks would be fast.
///
/// # Errors
/// As [`load`].
///
/// # Panics
/// When the count is wrong.
pub fn check(built: &Built) -> Result<(), LoadError> {
    for interested in [Interested::BuiltIn, Interested::Module] {
        let mut world = BenchWorld::of(Controllers::None, Shape::ONE, 3);
        load(&mut world, interested, true, &built.module(true))?;
        let (parent, set) = world.spawn(world.cgroups[0]);
        let child = world.sim.host.new_task();
        for _ in 0..10 {
            world.sim.fork_and_exit(parent, set, child);
        }
        let root = world.sim.mount("counter");
        assert_eq!(world.sim.read(root, "counter.count"), "21\n");
    }
    Ok(())
}
