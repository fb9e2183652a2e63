//! Attach: membership, permissions, the two phases (B4, B5, C6, C7, T7).

mod common;

use common::{Probe, ProbeHandle, world_with};
use penfold_core::{
    Caller, Errno, MoveScope, Tid,
    subsystem::{Callbacks, CpuTime, Resource},
};
use penfold_testkit::SimWorld;

#[test]
fn cpu_time_before_a_move_is_the_old_cgroups() {
    let mut world = SimWorld::new();
    world.load(Probe::new("cpu", Callbacks::empty(), &[Resource::CpuTime]).0);
    let task = world.spawn();
    let top = world.mount("cpu");
    let (old, new) = (world.mkdir(top, "old"), world.mkdir(top, "new"));
    world.attach(old, task);
    world.host.run(task, 1, CpuTime { user: 7, system: 3 });
    world.attach(new, task);
    assert_eq!(world.read(old, "cpu.usage"), "10 -1 10 0 0\ncpu0 0 0\ncpu1 7 3\n");
    assert_eq!(world.read(new, "cpu.usage"), "0 -1 0 0 0\ncpu0 0 0\ncpu1 0 0\n");
}

/// B4.5, B4.6, T7: the measured writes to `tasks` and `cgroup.procs`; the writer is task 1, the other 26.
#[test]
fn tasks_file_takes_one_task_number() {
    use Errno::{E2BIG, EINVAL, ESRCH};
    let (page, more) = ("0".repeat(4096), "0".repeat(4097));
    let ones = "1".repeat(64);
    let vectors: &[(&str, Result<i32, Errno>)] = &[
        ("0", Ok(1)),
        ("0\n", Ok(1)),
        (" 0", Ok(1)),
        ("00", Ok(1)),
        ("+0", Ok(1)),
        ("-0", Ok(1)),
        ("26", Ok(26)),
        ("26\n", Ok(26)),
        (" 26 \n\t", Ok(26)),
        ("26\n\n", Ok(26)),
        ("026", Err(ESRCH)),
        ("032", Ok(26)),
        ("0x1a", Ok(26)),
        ("+26", Ok(26)),
        ("26\0", Ok(26)),
        ("26\0junk", Ok(26)),
        (&page, Ok(1)),
        ("\0", Err(EINVAL)),
        ("26 1", Err(EINVAL)),
        ("26,1", Err(EINVAL)),
        ("26x", Err(EINVAL)),
        ("abc", Err(EINVAL)),
        ("-1", Err(EINVAL)),
        ("\n", Err(EINVAL)),
        (" ", Err(EINVAL)),
        ("1.5", Err(EINVAL)),
        (&ones, Err(EINVAL)),
        (&more, Err(E2BIG)),
        ("4294967297", Err(EINVAL)),
        ("4294967296", Err(EINVAL)),
        ("2147483648", Err(EINVAL)),
        ("2147483647", Err(ESRCH)),
        ("99999999999999999999", Err(EINVAL)),
    ];
    for file in ["tasks", "cgroup.procs"] {
        for (text, expected) in vectors {
            let mut world = SimWorld::new();
            let tasks: Vec<Tid> = (0..26).map(|_| world.spawn()).collect();
            (1..25).for_each(|task| world.exit(tasks[task]));
            let top = world.mount("none,name=x");
            let g = world.mkdir(top, "g");
            assert_eq!(world.try_write(g, file, text), expected.map(|_| ()), "{text:?} to {file}");
            assert_eq!(world.tasks(g), expected.ok().into_iter().collect::<Vec<_>>(), "{text:?} to {file}");
        }
    }
}

/// B4.4: the measured table of uids; the real and the saved one count, the effective one does not.
#[test]
fn task_of_another_user_can_not_be_moved() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let g = world.mkdir(top, "g");
    let writer = Caller::user(Tid(1), 1000, 1000);
    for (real, saved, allowed) in
        [(1000, 1000, true), (1001, 1001, false), (0, 0, false), (1001, 1000, true), (1000, 1001, true)]
    {
        for scope in [MoveScope::Task, MoveScope::ThreadGroup] {
            let task = world.spawn();
            let facts = &mut world.host.get_mut(task).unwrap().facts;
            (facts.real_uid, facts.saved_uid) = (real, saved);
            let moved = world.as_caller(&writer, |world| match scope {
                MoveScope::Task => world.try_attach(g, task),
                MoveScope::ThreadGroup => world.try_attach_group(g, task),
            });
            let expected = if allowed { Ok(()) } else { Err(Errno::EACCES) };
            assert_eq!(moved, expected, "{real} {saved}");
        }
    }
    // A capability does not count. An unknown task and a bound kernel thread are refused before the uids are compared.
    let task = world.spawn();
    let strong = Caller { privileged: true, ..writer.clone() };
    let answer = |world: &mut SimWorld, caller: &Caller, task| {
        world.as_caller(caller, |world| world.try_attach(g, task)).unwrap_err()
    };
    assert_eq!(answer(&mut world, &strong, task), Errno::EACCES);
    assert_eq!(answer(&mut world, &writer, Tid(9999)), Errno::ESRCH);
    world.host.get_mut(task).unwrap().facts.movable = false;
    assert_eq!(answer(&mut world, &writer, task), Errno::EINVAL, "a bound kernel thread");
}

/// B4.3, B4.11, B5: `tasks` lists threads, `cgroup.procs` lists each process once.
#[test]
fn threads_move_one_by_one_or_as_a_process() {
    let mut world = SimWorld::new();
    let leader = world.spawn();
    let (t1, t2) = (world.thread(leader), world.thread(leader));
    let top = world.mount("none,name=x");
    let (g, h) = (world.mkdir(top, "g"), world.mkdir(top, "h"));
    world.attach(g, t1);
    assert_eq!((world.tasks(g), world.tasks(top)), (vec![t1.0], vec![leader.0, t2.0]));
    assert_eq!(world.read(g, "cgroup.procs"), format!("{leader}\n"), "also where the leader is not");
    world.attach(g, t2);
    assert_eq!(world.read(g, "cgroup.procs"), format!("{leader}\n"), "once");
    world.attach_group(h, t2);
    assert_eq!(world.read(h, "tasks"), format!("{leader}\n{t1}\n{t2}\n"));
    assert_eq!(world.read(g, "tasks"), "");
    // The leader has died: its threads still move by any of their numbers.
    world.exit(leader);
    world.attach_group(g, t1);
    assert_eq!(world.tasks(g), [t1.0, t2.0]);
    assert_eq!(world.read(g, "cgroup.procs"), format!("{leader}\n"));
    let child = world.fork(t1);
    world.attach(h, t1);
    assert_eq!(world.tasks(g), [t2.0, child.0], "a child stays where its parent was");
    let next = world.fork(t1);
    assert_eq!(world.tasks(h), [t1.0, next.0], "and the next follows");
}

/// Measured: threads are charged one by one, first those that come from the leader's cgroup. A common ancestor of the old
/// and the new cgroup counts each of these twice for a moment. The thread from outside is charged there only afterwards.
#[test]
fn threads_from_one_place_are_charged_together() {
    let mut world = SimWorld::new();
    world.load(Probe::new("count", Callbacks::empty(), &[Resource::Tasks]).0);
    let leader = world.spawn();
    let (first, second) = (world.thread(leader), world.thread(leader));
    for (outside, inside) in [(first, second), (second, first)] {
        let top = world.mount("count");
        let (above, out) = (world.mkdir(top, "above"), world.mkdir(top, "out"));
        let (old, new) = (world.mkdir(above, "old"), world.mkdir(above, "new"));
        world.attach(old, leader);
        world.attach(old, inside);
        world.attach(out, outside);
        world.attach_group(new, leader);
        assert_eq!(world.read(above, "count.usage"), "3 -1 3 0 0\n");
        world.attach_group(top, leader);
        for group in [new, old, above, out] {
            world.rmdir(group);
        }
    }
}

/// An exiting task is found, and nothing moves: Linux 6 answers success.
#[test]
fn zombie_can_be_written_and_stays_where_it_is() {
    let mut world = SimWorld::new();
    let (leader, top) = (world.spawn(), world.mount("none,name=x"));
    let thread = world.thread(leader);
    let g = world.mkdir(top, "g");
    world.host.get_mut(leader).unwrap().facts.exiting = true;
    assert_eq!(world.try_attach(g, leader), Ok(()));
    assert_eq!(world.tasks(g), [0; 0]);
    assert_eq!(world.try_attach_group(g, leader), Ok(()));
    assert_eq!(world.tasks(g), [thread.0], "the living threads move");
}

/// C6: `can_attach` runs in the order of the slots. `cancel_attach` runs for those that had agreed, in the same order.
#[test]
fn refused_attach_is_cancelled_in_slot_order() {
    let both = Callbacks::CAN_ATTACH | Callbacks::ATTACH;
    let (a, first) = Probe::new("a", both, &[]);
    let handles: [ProbeHandle; 3] = std::array::from_fn(|_| first.with_same_log());
    let mut world = SimWorld::new();
    world.load(a);
    for (handle, name) in handles.iter().zip(["b", "c", "d"]) {
        world.load(Probe::at(handle, name, both, &[]));
    }
    world.load(Probe::at(&first.with_same_log(), "elsewhere", both, &[]));
    let leader = world.spawn();
    let thread = world.thread(leader);
    let top = world.mount("a,b,c,d");
    let g = world.mkdir(top, "g");
    first.take_log();
    handles[1].records().faults.veto_attach = true;
    assert_eq!(world.try_attach_group(g, leader), Err(Errno::ENOSPC));
    assert_eq!(
        first.take_log(),
        [
            "a.can_attach /g 2",
            "b.can_attach /g 2",
            "c.can_attach /g 2",
            "a.cancel_attach /g 2",
            "b.cancel_attach /g 2"
        ]
    );
    assert_eq!(world.tasks(g), [0; 0], "all or nothing");
    assert_eq!(world.engine.css_set_count(), 1, "nothing was made for a move that did not happen");
    handles[1].records().faults.veto_attach = false;
    assert_eq!(world.try_attach(g, thread), Ok(()));
    let asked = ["a", "b", "c", "d"].map(|name| format!("{name}.can_attach /g 1"));
    let told = ["a", "b", "c", "d"].map(|name| format!("{name}.attach {thread} / /g"));
    assert_eq!(first.take_log(), [asked, told].concat());
}

/// B4.9, B5.4: a task that is there already causes no callback, and callbacks get only the tasks that move.
#[test]
fn member_attached_again_causes_no_callback() {
    let (probe, handle) = Probe::new("p", Callbacks::CAN_ATTACH | Callbacks::ATTACH, &[Resource::Tasks]);
    let mut world = SimWorld::new();
    world.load(probe);
    let leader = world.spawn();
    let thread = world.thread(leader);
    let top = world.mount("p");
    let g = world.mkdir(top, "g");
    world.attach(g, thread);
    handle.records().faults.veto_attach = true;
    assert_eq!(world.try_attach(g, thread), Ok(()), "not even a subsystem that would refuse");
    handle.records().faults.veto_attach = false;
    handle.take_log();
    world.attach_group(g, leader);
    assert_eq!(handle.take_log(), ["p.can_attach /g 1".to_owned(), format!("p.attach {leader} / /g")]);
    assert_eq!(world.read(g, "p.usage"), "2 -1 2 0 0\n");
    assert_eq!(world.read(top, "p.usage"), "2 -1 3 0 0\n", "charged there before given back here");
}

/// C1.2, C2: tasks with the same tuple share a css_set, which is freed with the last of them.
#[test]
fn css_sets_are_shared_and_freed() {
    let mut world = world_with(&["a", "b"]);
    let tasks: Vec<Tid> = (0..4).map(|_| world.spawn()).collect();
    let (one, two) = (world.mount("a"), world.mount("b"));
    assert_eq!(world.engine.css_set_count(), 1);
    let (x, y) = (world.mkdir(one, "x"), world.mkdir(two, "y"));
    world.attach(x, tasks[0]);
    world.attach(y, tasks[1]);
    assert_eq!(world.engine.css_set_count(), 3);
    world.attach(y, tasks[0]);
    world.attach(x, tasks[1]);
    assert_eq!(world.engine.css_set_count(), 2, "the same tuple, reached by two ways");
    // A hierarchy without subsystems tells sets apart as well (C1.5).
    let three = world.mount("none,name=n");
    let z = world.mkdir(three, "z");
    world.attach(z, tasks[1]);
    assert_eq!(world.engine.css_set_count(), 3);
    for task in tasks {
        world.exit(task);
    }
    assert_eq!(world.engine.css_set_count(), 1);
}
