//! Attach: membership, permissions, the two phases (B4, B5, C6, C7, T7).

mod common;

use common::{Desk, Probe, World};
use penfold_core::{Callbacks, Caller, CpuTime, Errno, Resource, Tid};

#[test]
fn cpu_time_used_before_a_move_is_charged_to_the_old_cgroup() {
    let mut world = World::new();
    world.load(Probe::new("cpu", Callbacks::empty(), &[Resource::CpuTime]).0).unwrap();
    let task = world.spawn();
    let top = world.mount("cpu").unwrap();
    let (old, new) = (world.mkdir(top, "old").unwrap(), world.mkdir(top, "new").unwrap());
    world.attach(old, task).unwrap();
    world.host.run(task, 1, CpuTime { user: 7, system: 3 });
    world.attach(new, task).unwrap();
    assert_eq!(world.read(old, "cpu.usage").unwrap(), "10 -1 10 0 0\ncpu0 0 0\ncpu1 7 3\n");
    assert_eq!(world.read(new, "cpu.usage").unwrap(), "0 -1 0 0 0\ncpu0 0 0\ncpu1 0 0\n");
}
