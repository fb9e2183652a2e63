//! The tests share, beside the testkit, a subsystem that records its callbacks.
#![allow(dead_code, unreachable_pub)] // each test program uses a part

mod message;
mod probe;

use penfold_testkit::SimWorld;

#[allow(unused_imports)] // each test program uses a part
pub use message::check_message;
#[allow(unused_imports)] // each test program uses a part
pub use probe::*;

/// A world with a probe without callbacks for each of these names.
pub fn world_with(names: &[&str]) -> SimWorld {
    let mut world = SimWorld::new();
    for name in names {
        world.load(Probe::plain(name));
    }
    world
}
