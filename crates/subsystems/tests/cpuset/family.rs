//! The rules between a cpuset and its parent, children and siblings.

use penfold_core::Errno;

use super::{Cpusets as _, world};

/// T6
#[test]
fn child_fits_into_its_parent() {
    let mut w = world();
    let parent = w.cpuset(w.top, "B", "0");
    let g = w.mkdir(parent, "g");
    assert_eq!(w.try_write(g, "cpus", "0-1"), Err(Errno::EACCES));
    assert_eq!(w.try_write(g, "cpus", "1"), Err(Errno::EACCES));
    w.write(parent, "cpus", "0-1");
    assert_eq!(w.try_write(g, "cpus", "1"), Ok(()));
    w.write(g, "mems", "0");
    assert_eq!(w.try_write(parent, "cpus", "0"), Err(Errno::EBUSY));
    assert_eq!(w.try_write(parent, "cpus", "\n"), Err(Errno::EBUSY));
    assert_eq!(w.try_write(parent, "mems", "\n"), Err(Errno::EBUSY));
    assert_eq!(w.read(parent, "cpus"), "0-1\n");
}

/// T6
#[test]
fn exclusive_cpuset_keeps_siblings_off_its_cpus() {
    let mut w = world();
    let parent = w.cpuset(w.top, "B", "0-1");
    let (g, h) = (w.cpuset(parent, "g", "1"), w.cpuset(parent, "h", "0-1"));
    assert_eq!(w.try_write(g, "cpu_exclusive", "1"), Err(Errno::EACCES), "the parent is not exclusive");
    w.write(parent, "cpu_exclusive", "1");
    assert_eq!(w.try_write(g, "cpu_exclusive", "1"), Err(Errno::EINVAL), "the sibling overlaps");
    w.write(h, "cpus", "0");
    assert_eq!(w.try_write(g, "cpu_exclusive", "1"), Ok(()));
    assert_eq!(w.try_write(h, "cpus", "0-1"), Err(Errno::EINVAL));
    assert_eq!(w.try_write(h, "cpus", "1"), Err(Errno::EINVAL));
    assert_eq!(w.try_write(parent, "cpu_exclusive", "0"), Err(Errno::EBUSY), "the child is exclusive");
    w.write(g, "cpu_exclusive", "0");
    assert_eq!(w.try_write(parent, "cpu_exclusive", "0"), Ok(()));
}

#[test]
fn exclusive_cpuset_keeps_siblings_off_its_mems() {
    let mut w = world();
    let parent = w.cpuset(w.top, "B", "0-1");
    let (g, h) = (w.cpuset(parent, "g", "0"), w.cpuset(parent, "h", "1"));
    assert_eq!(w.try_write(g, "mem_exclusive", "1"), Err(Errno::EACCES));
    w.write(parent, "mem_exclusive", "1");
    assert_eq!(w.try_write(g, "mem_exclusive", "1"), Err(Errno::EINVAL));
    w.write(h, "mems", "\n");
    assert_eq!(w.try_write(g, "mem_exclusive", "1"), Ok(()));
    assert_eq!(w.try_write(h, "mems", "0"), Err(Errno::EINVAL));
}

#[test]
fn exclusive_cpuset_is_not_emptied_of_cpus() {
    let mut w = world();
    let g = w.cpuset(w.top, "g", "0-1");
    w.write(g, "cpu_exclusive", "1");
    assert_eq!(w.try_write(g, "cpus", "\n"), Err(Errno::EBUSY));
    assert_eq!(w.try_write(g, "cpus", "0"), Ok(()));
    w.write(g, "sched_load_balance", "0");
    assert_eq!(w.try_write(g, "cpus", "\n"), Ok(()), "without load balance there is no domain of its own");
}

#[test]
fn cloned_child_has_its_parents_lists_unless_exclusive() {
    let mut w = world();
    let parent = w.cpuset(w.top, "B", "0");
    for flag in ["cpu_exclusive", "mem_exclusive", "memory_migrate"] {
        w.write(parent, flag, "1");
    }
    let plain = w.mkdir(parent, "plain");
    assert_eq!((w.read(plain, "cpus"), w.read(plain, "mems")), ("\n".into(), "\n".into()));
    w.write(parent, "cgroup.clone_children", "1");
    let k = w.mkdir(parent, "k");
    assert_eq!((w.read(k, "cpus"), w.read(k, "mems")), ("0\n".into(), "0\n".into()));
    assert_eq!((w.read(k, "cpu_exclusive"), w.read(k, "memory_migrate")), ("0\n".into(), "0\n".into()));
    w.write(k, "cpus", "\n");
    w.write(plain, "cpu_exclusive", "1");
    let late = w.mkdir(parent, "late");
    assert_eq!((w.read(late, "cpus"), w.read(late, "mems")), ("\n".into(), "\n".into()));

    w.write(plain, "cpu_exclusive", "1");
    w.write(plain, "mem_exclusive", "1");
    w.write(plain, "cpu_exclusive", "0");
    let still = w.mkdir(parent, "still");
    assert_eq!(w.read(still, "mems"), "\n");
    w.rmdir(plain);
    let again = w.mkdir(parent, "again");
    assert_eq!((w.read(again, "cpus"), w.read(again, "mems")), ("0\n".into(), "0\n".into()));
}

#[test]
fn a_child_inherits_the_spread_flags_and_no_other() {
    let mut w = world();
    let parent = w.mkdir(w.top, "B");
    for flag in ["memory_spread_page", "memory_spread_slab", "mem_hardwall", "memory_migrate"] {
        w.write(parent, flag, "1");
    }
    w.write(parent, "sched_load_balance", "0");
    w.write(parent, "sched_relax_domain_level", "1");
    let child = w.mkdir(parent, "c");
    for (file, value) in [
        ("memory_spread_page", "1\n"),
        ("memory_spread_slab", "1\n"),
        ("mem_hardwall", "0\n"),
        ("memory_migrate", "0\n"),
        ("sched_load_balance", "1\n"),
        ("sched_relax_domain_level", "-1\n"),
    ] {
        assert_eq!(w.read(child, file), value, "{file}");
    }
}
