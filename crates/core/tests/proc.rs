//! The texts under /proc (A6, A8).

mod common;

use common::world_with;
use penfold_testkit::SimWorld;

#[test]
fn proc_cgroups_has_a_row_for_every_loaded_subsystem() {
    let header = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
    assert_eq!(SimWorld::new().engine.proc_cgroups(), header);
    let mut world = world_with(&["cpuset", "cpu", "net_cls"]);
    world.mount("none,name=first");
    let top = world.mount("net_cls,cpuset");
    let g = world.mkdir(top, "g");
    world.mkdir(g, "h");
    let rows = "cpuset\t2\t3\t1\ncpu\t0\t1\t1\nnet_cls\t2\t3\t1\n";
    assert_eq!(world.engine.proc_cgroups(), format!("{header}{rows}"));
    world.unload("cpu");
    assert_eq!(world.engine.proc_cgroups(), format!("{header}cpuset\t2\t3\t1\nnet_cls\t2\t3\t1\n"));
    world.load(common::Probe::plain("late"));
    let rows = "cpuset\t2\t3\t1\nlate\t0\t1\t1\nnet_cls\t2\t3\t1\n";
    assert_eq!(world.engine.proc_cgroups(), format!("{header}{rows}"), "in the order of the slots");
}

#[test]
fn proc_pid_cgroup_lists_the_newest_hierarchy_first() {
    let mut world = world_with(&["cpuset", "net_cls"]);
    let task = world.spawn();
    assert_eq!(world.proc_cgroup(task), "", "no hierarchy is mounted");
    let one = world.mount("net_cls,cpuset");
    let two = world.mount("none,name=foo");
    let three = {
        let gone = world.mount("none,name=gone");
        world.unmount(gone);
        world.mount("none,name=bar")
    };
    let a = world.mkdir(two, "a");
    let b = world.mkdir(a, "b c");
    world.attach(b, task);
    let in_one = world.mkdir(one, "x");
    world.attach(in_one, task);
    assert_eq!(world.proc_cgroup(task), "4:name=bar:/\n2:name=foo:/a/b c\n1:cpuset,net_cls:/x\n");
    world.remount(three, "name=bar");
    // An exiting task points to no css_set: it is shown in every root (A8.5 as measured).
    let text = world.engine.proc_pid_cgroup(None).unwrap();
    assert_eq!(text, b"4:name=bar:/\n2:name=foo:/\n1:cpuset,net_cls:/\n");
}

/// A7.4.
#[test]
fn proc_pid_cpuset_is_the_path_in_the_hierarchy_of_cpuset() {
    use penfold_core::host::HostView as _;
    let mut world = world_with(&["cpu", "cpuset"]);
    let task = world.spawn();
    let cpuset = |world: &SimWorld| world.engine.proc_pid_cpuset(world.host.css_set(task)).unwrap();
    assert_eq!(cpuset(&world), b"/\n");
    let other = world.mount("cpu");
    let top = world.mount("cpuset");
    let (elsewhere, g) = (world.mkdir(other, "no"), world.mkdir(top, "yes"));
    world.attach(elsewhere, task);
    assert_eq!(cpuset(&world), b"/\n");
    world.attach(g, task);
    assert_eq!(cpuset(&world), b"/yes\n");
    let old = world.host.css_set(task);
    world.exit(task);
    let gone = world.engine.proc_pid_cpuset(old).unwrap_err();
    assert_eq!(gone.errno(), penfold_core::Errno::ESRCH);
    assert_eq!(world.engine.proc_pid_cgroup(old).unwrap_err().errno(), penfold_core::Errno::ESRCH);
}
