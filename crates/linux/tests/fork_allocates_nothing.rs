//! The promise of core's hot path: a fork copies the number of a css_set and allocates no memory.
//!
//! The test is here and not beside core, because counting allocations takes `unsafe`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use penfold_core::{
    Caller, CgroupId, CssSetId, Engine, Errno, MoveScope, Tid,
    host::{Capability, Host, HostView, IndexSet, TaskFacts, Unsupported},
    subsystem::CpuTime,
};

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

const TASKS: usize = 64;

/// A host that keeps its tasks in a table of fixed size, so that all counted allocations are core's.
struct FixedTable([Option<CssSetId>; TASKS]);

fn at(task: Tid) -> usize {
    usize::try_from(task.0).expect("a task's number")
}

impl HostView for FixedTable {
    fn task(&self, task: Tid) -> Option<TaskFacts> {
        self.css_set(task)?;
        Some(TaskFacts::new(task, 0))
    }

    fn css_set(&self, task: Tid) -> Option<CssSetId> {
        *self.0.get(at(task))?
    }

    fn for_each_task(&self, set: CssSetId, visit: &mut dyn FnMut(Tid)) {
        for (number, place) in (0..).zip(&self.0) {
            if *place == Some(set) {
                visit(Tid(number));
            }
        }
    }

    fn for_each_thread(&self, group: Tid, visit: &mut dyn FnMut(Tid)) {
        visit(group);
    }

    fn now(&self) -> u64 {
        0
    }

    fn cpus(&self) -> IndexSet {
        IndexSet::first(4)
    }

    fn is_frozen(&self, _: Tid) -> bool {
        false
    }
}

impl Host for FixedTable {
    fn place(&mut self, task: Tid, set: CssSetId) {
        self.0[at(task)] = Some(set);
    }

    fn require(&mut self, _: Capability) -> Result<(), Unsupported> {
        Ok(())
    }

    fn set_affinity(&mut self, _: Tid, _: &IndexSet) -> Result<(), Errno> {
        Ok(())
    }

    fn freeze(&mut self, _: Tid) {}

    fn thaw(&mut self, _: Tid) {}
}

/// All controllers in one hierarchy, a named one beside it, and a task three levels down with a limit on each.
fn world() -> (Engine, FixedTable, Tid, CgroupId) {
    let (mut engine, mut host) = (Engine::new(), FixedTable([None; TASKS]));
    let (owner, task) = (Caller::root(Tid(1)), Tid(1));
    penfold_subsystems::load_all(&mut engine, &mut host).expect("all controllers load");
    let mut cgroup = engine.session(&mut host, &owner).mount("all,clone_children").expect("they mount").root;
    engine.session(&mut host, &owner).mount("none,name=other").expect("it mounts");
    engine.adopt(&mut host, task);
    for name in [b"a", b"b", b"c"] {
        cgroup = engine.session(&mut host, &owner).mkdir(cgroup, name, 0o755).expect("a cgroup");
        let limit = engine.find_file(cgroup, "pids.max").expect("the file is there");
        engine.session(&mut host, &owner).write(cgroup, limit, b"40").expect("it is taken");
    }
    engine.session(&mut host, &owner).attach(cgroup, task, MoveScope::ThreadGroup).expect("it is moved");
    (engine, host, task, cgroup)
}

fn usage(engine: &mut Engine, host: &mut FixedTable, cgroup: CgroupId) -> String {
    let file = engine.find_file(cgroup, "pids.current").expect("the file is there");
    let content = engine.session(host, &Caller::root(Tid(1))).read(cgroup, file).expect("it can be read");
    String::from_utf8(content).expect("a text").trim_end().to_owned()
}

#[test]
fn fork_within_one_css_set_allocates_nothing() {
    let (mut engine, mut host, parent, cgroup) = world();
    let set = host.css_set(parent).expect("it has one");
    let forks = allocations(|| {
        for child in (2..32).map(Tid) {
            let charge = engine.charge_fork(&mut host, parent, set).expect("there is room");
            engine.commit_fork(&mut host, charge, child);
        }
    });
    assert_eq!(usage(&mut engine, &mut host, cgroup), "31", "they are forks like any");
    assert!((2..32).all(|child| host.css_set(Tid(child)) == Some(set)));
    let cancelled = allocations(|| {
        let charge = engine.charge_fork(&mut host, parent, set).expect("there is room");
        engine.cancel_fork(&mut host, charge);
    });
    let used = CpuTime { user: 1, system: 1 };
    // the first charge on a CPU allocates
    engine.charge_cpu(set, 3, used);
    let time = allocations(|| engine.charge_cpu(set, 3, used));
    let deaths = allocations(|| {
        for child in (2..32).map(Tid) {
            host.0[at(child)] = None;
            engine.exit(&mut host, child, set);
        }
    });
    assert_eq!(usage(&mut engine, &mut host, cgroup), "1");
    assert_eq!([forks, cancelled, time, deaths], [0; 4], "forks, a failed fork, CPU time, deaths");
    let mkdir = allocations(|| {
        let _ = engine.session(&mut host, &Caller::root(Tid(1))).mkdir(cgroup, b"d", 0o755);
    });
    assert!(mkdir > 0, "the counter counts");
}
