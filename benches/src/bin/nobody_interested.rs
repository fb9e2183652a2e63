//! The cost of fork and exit callbacks when no subsystem is interested, as a ratio to the pointer copy that any fork
//! has to do.
//!
//! This ratio is the promise of 2006 in one number.

use std::hint::black_box;
use std::time::Instant;

use penfold_benches::controllers::Controllers;
use penfold_benches::world::{BenchWorld, Shape};
use penfold_core::host::Host as _;

const ROUNDS: usize = 21;
const TIMES: u32 = 1_000_000;

/// Nanoseconds for one of `TIMES` calls.
fn time(mut what: impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..TIMES).for_each(|_| what());
    began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut worlds = [Controllers::None, Controllers::Pids, Controllers::All].map(|controllers| {
        let mut world = BenchWorld::of(controllers, Shape::ONE, 2);
        let (parent, set) = world.spawn(world.cgroups[0]);
        let child = world.sim.host.new_task();
        (controllers, world, parent, set, child)
    });
    let mut copies = Vec::new();
    let mut lives = [const { Vec::new() }; 3];
    // Interleaved, so that a change of the machine's speed hits all alike.
    for _ in 0..ROUNDS {
        let (_, world, _, set, child) = &mut worlds[0];
        copies.push(time(|| black_box(&mut world.sim.host).place(black_box(*child), black_box(*set))));
        for ((_, world, parent, set, child), lives) in worlds.iter_mut().zip(&mut lives) {
            lives.push(time(|| world.sim.fork_and_exit(black_box(*parent), *set, *child)));
        }
    }
    let copy = median(copies);
    println!("{:<32}{:>10}{:>10}", "", "ns", "ratio");
    println!("{:<32}{copy:>10.1}{:>10.1}", "pointer copy", 1.0);
    for ((controllers, ..), lives) in worlds.iter().zip(lives) {
        let life = median(lives);
        let label = format!("fork + exit, controllers: {controllers}");
        println!("{label:<32}{life:>10.1}{:>10.1}", life / copy);
    }
}
