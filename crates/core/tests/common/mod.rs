//! What the tests share beside the testkit: a subsystem that records what is done to it.
#![allow(dead_code, unreachable_pub)] // each test program uses a part

mod probe;

use penfold_testkit::SimWorld;

#[allow(unused_imports)] // each test program uses a part
pub use probe::*;

/// A world with a probe for each of these names, which asks for no callback.
pub fn world_with(names: &[&str]) -> SimWorld {
    let mut world = SimWorld::new();
    for name in names {
        world.load(Probe::plain(name));
    }
    world
}
