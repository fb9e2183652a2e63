//! Measurements without processes: the cost of a callback in core, and of a load among a million tasks.

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

/// The css_sets for loads and unloads. Few in a debug build, which only checks that everything runs.
pub const SETS: Shape = if cfg!(debug_assertions) {
    Shape { directories: 10, in_each: 10 }
} else {
    Shape { directories: 100, in_each: 1_000 }
};
/// Tasks in each css_set.
const IN_EACH: usize = 10;
/// The number of forks and exits that are measured together.
const COUNT: u32 = 200_000;

/// Loads the counting controller in one of its forms.
///
/// # Errors
/// As [`Controller::open`].
///
/// # Panics
/// When the engine refuses the controller, for which there is no reason.
pub fn load(
    world: &mut BenchWorld,
    interested: Interested,
    counts: bool,
    module: &Path,
) -> Result<(), LoadError> {
    let SimWorld { engine, host, .. } = &mut world.sim;
    let loaded = match (interested, counts) {
        (Interested::Nobody, _) => return Ok(()),
        (Interested::BuiltIn, true) => engine.load(host, ForkCounter::<true>::default()),
        (Interested::BuiltIn, false) => engine.load(host, ForkCounter::<false>::default()),
        (Interested::Module, _) => engine.load(host, Controller::open(module)?),
    };
    loaded.expect("the slot is free");
    Ok(())
}

/// The time of one fork and exit of a child, for each of [`Interested::ALL`], in turns.
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
    /// Copying and mapping the file, and the module's own `load`. The engine works on meanwhile.
    pub open: Durations,
    /// The engine's part of a load, during which it does nothing else.
    pub load: Durations,
    /// The whole unload with the unmapping, during which the engine does nothing else.
    pub unload: Durations,
}

/// Load and unload among 100,000 css_sets with ten tasks each.
///
/// # Errors
/// As [`Controller::open`].
///
/// # Panics
/// When the engine refuses, for which there is no reason.
pub fn load_and_unload(
    built: &Built,
    world: &mut BenchWorld,
    interested: Interested,
    counts: bool,
    rounds: usize,
) -> Result<LoadTimes, LoadError> {
    let mut times = LoadTimes::default();
    for _ in 0..rounds {
        let began = Instant::now();
        let opened = match interested {
            Interested::Module => Some(Controller::open(&built.module(counts))?),
            _ => None,
        };
        times.open.add(began.elapsed());
        let SimWorld { engine, host, .. } = &mut world.sim;
        let began = Instant::now();
        let loaded = match opened {
            Some(controller) => engine.load(host, controller),
            None if counts => engine.load(host, ForkCounter::<true>::default()),
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

/// An engine with the css_sets of [`SETS`] and ten times as many tasks.
///
/// # Panics
/// When the engine refuses, for which there is no reason.
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

/// Checks that every fork and exit reaches the controllers. Otherwise the measurement would be of nothing.
///
/// # Errors
/// As [`load`].
///
/// # Panics
/// If a count is wrong.
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
