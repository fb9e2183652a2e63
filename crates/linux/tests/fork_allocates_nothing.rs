//! The promise of core's hot path: a fork copies the number of a css_set and allocates no memory.
//!
//! The test is here and not beside core, because counting allocations takes `unsafe`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use penfold_core::{CgroupId, Tid, host::HostView, subsystem::CpuTime};
use penfold_testkit::{PlainHost, SimWorld};

thread_local! {
    // of each thread alone: the test harness has threads too
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct CountingAllocator;

// SAFETY: the system's allocator does everything; the count touches neither memory nor layout.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it came from `System`, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as in `alloc` and `dealloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// All controllers in one hierarchy, a named one beside it, and a task three levels down with a limit on each.
fn world() -> (SimWorld<PlainHost>, Tid, CgroupId) {
    let mut world = SimWorld::with_host(PlainHost::with_capacity(64));
    penfold_subsystems::load_all(&mut world.engine, &mut world.host).expect("all controllers load");
    let mut cgroup = world.mount("all,clone_children");
    world.mount("none,name=other");
    let task = world.spawn();
    for name in ["a", "b", "c"] {
        cgroup = world.mkdir(cgroup, name);
        world.write(cgroup, "pids.max", "40");
    }
    world.attach_group(cgroup, task);
    (world, task, cgroup)
}

#[test]
fn fork_within_one_css_set_allocates_nothing() {
    let (mut world, parent, cgroup) = world();
    let set = world.host.css_set(parent).expect("it has one");
    let forks = allocations(|| {
        for child in (2..32).map(Tid) {
            let charge = world.engine.charge_fork(&mut world.host, parent, set).expect("there is room");
            world.engine.commit_fork(&mut world.host, charge, child);
        }
    });
    assert_eq!(world.read(cgroup, "pids.current"), "31\n", "they are forks like any");
    assert!((2..32).all(|child| world.host.css_set(Tid(child)) == Some(set)));
    let cancelled = allocations(|| {
        let charge = world.engine.charge_fork(&mut world.host, parent, set).expect("there is room");
        world.engine.cancel_fork(&mut world.host, charge);
    });
    let used = CpuTime { user: 1, system: 1 };
    // the first time on a CPU makes room for it
    world.engine.charge_cpu(set, 3, used);
    let time = allocations(|| world.engine.charge_cpu(set, 3, used));
    let deaths = allocations(|| {
        for child in (2..32).map(Tid) {
            world.host.remove(child);
            world.engine.exit(&mut world.host, child, set);
        }
    });
    assert_eq!(world.read(cgroup, "pids.current"), "1\n");
    assert_eq!([forks, cancelled, time, deaths], [0; 4], "forks, a failed fork, CPU time, deaths");
    let mkdir = allocations(|| {
        let _ = world.try_mkdir(cgroup, "d");
    });
    assert!(mkdir > 0, "the counter counts");
}
