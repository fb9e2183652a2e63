//! cpuset on the simulated host: the facts of Linux 6.18, one rule a test.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, Mask, Need, Tid};
use penfold_subsystems::Cpuset;

struct World {
    engine: Engine,
    host: SimulatedHost,
    root: CgroupId,
}

impl World {
    /// Two CPUs and node 0, as on the machine where the facts were measured.
    fn new() -> World {
        World::with(2, "cpuset")
    }

    fn with(cpus: usize, options: &str) -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(cpus));
        engine.load(&mut host, Cpuset::default()).unwrap();
        let root = engine.mount(&mut host, &administrator(), options).unwrap().root;
        World { engine, host, root }
    }

    fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine.mkdir(&mut self.host, &administrator(), parent, name.as_bytes(), 0o755).unwrap()
    }

    /// A child with `cpus` and node 0.
    fn cpuset(&mut self, parent: CgroupId, name: &str, cpus: &str) -> CgroupId {
        let cgroup = self.mkdir(parent, name);
        self.write(cgroup, "cpus", cpus).unwrap();
        self.write(cgroup, "mems", "0").unwrap();
        cgroup
    }

    fn write(&mut self, cgroup: CgroupId, file: &str, text: &str) -> Result<(), Errno> {
        let id = self.engine.find_file(cgroup, &format!("cpuset.{file}")).unwrap();
        let written = self.engine.write(&mut self.host, &administrator(), cgroup, id, text.as_bytes());
        written.map_err(|error| error.errno())
    }

    fn read(&mut self, cgroup: CgroupId, file: &str) -> String {
        let id = self.engine.find_file(cgroup, &format!("cpuset.{file}")).unwrap();
        self.engine.read(&mut self.host, &administrator(), cgroup, id).unwrap()
    }

    fn attach(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let attached = self.engine.attach(&mut self.host, &administrator(), cgroup, task, false);
        attached.map_err(|error| error.errno())
    }

    fn spawn(&mut self) -> Tid {
        self.host.spawn(&mut self.engine, 0)
    }

    fn affinity(&self, task: Tid) -> String {
        self.host.get(task).unwrap().affinity.to_string()
    }

    fn memory(&self, task: Tid) -> String {
        self.host.get(task).unwrap().memory.to_string()
    }
}

fn administrator() -> Caller {
    Caller::root(Tid(1))
}

#[test]
fn defaults_of_the_root_and_of_a_child() {
    let mut w = World::new();
    let (root, child) = (w.root, w.mkdir(w.root, "g"));
    for (file, of_root, of_child) in [
        ("cpus", "0-1\n", "\n"),
        ("mems", "0\n", "\n"),
        ("effective_cpus", "0-1\n", "\n"),
        ("effective_mems", "0\n", "\n"),
        ("cpu_exclusive", "1\n", "0\n"),
        ("mem_exclusive", "1\n", "0\n"),
        ("mem_hardwall", "0\n", "0\n"),
        ("memory_migrate", "0\n", "0\n"),
        ("memory_pressure", "0\n", "0\n"),
        ("memory_spread_page", "0\n", "0\n"),
        ("memory_spread_slab", "0\n", "0\n"),
        ("sched_load_balance", "1\n", "1\n"),
        ("sched_relax_domain_level", "-1\n", "-1\n"),
    ] {
        assert_eq!(
            (w.read(root, file).as_str(), w.read(child, file).as_str()),
            (of_root, of_child),
            "{file}"
        );
    }
    assert_eq!(w.read(root, "memory_pressure_enabled"), "0\n");
    assert!(w.engine.find_file(child, "cpuset.memory_pressure_enabled").is_none());
}

#[test]
fn read_only_files_have_mode_0444_and_refuse_a_write() {
    let mut w = World::new();
    for file in ["memory_pressure", "effective_cpus", "effective_mems"] {
        let id = w.engine.find_file(w.root, &format!("cpuset.{file}")).unwrap();
        assert_eq!(w.engine.file_owner(w.root, id).unwrap().mode, 0o444, "{file}");
        assert_eq!(w.write(w.root, file, "0"), Err(Errno::EINVAL), "{file}");
        assert_eq!(w.write(w.root, file, ""), Ok(()), "{file}");
    }
}

#[test]
fn lists_as_the_kernel_reads_them() {
    let mut w = World::new();
    let parent = w.cpuset(w.root, "B", "0-1");
    let g = w.cpuset(parent, "g", "1");
    for (text, answer) in [
        ("0", Ok("0\n")),
        ("1,0", Ok("0-1\n")),
        ("0-1,1", Ok("0-1\n")),
        ("0,,1", Ok("0-1\n")),
        (",", Ok("\n")),
        ("0,", Ok("0\n")),
        (" 0 ", Ok("0\n")),
        ("0 1", Ok("0-1\n")),
        ("0\n1", Ok("0\n")),
        ("0-1:1/2", Ok("0\n")),
        ("0-1:0/2", Ok("\n")),
        ("N", Ok("1\n")),
        ("0-N", Ok("0-1\n")),
        ("ALL", Ok("0-1\n")),
        ("all:1/2", Ok("0\n")),
        ("", Ok("1\n")),
        ("\n", Ok("\n")),
        ("  ", Ok("\n")),
        ("01", Ok("1\n")),
        ("0\0x", Ok("0\n")),
        ("1,all", Ok("0-1\n")),
        ("0-", Err(Errno::EINVAL)),
        ("-", Err(Errno::EINVAL)),
        ("1-0", Err(Errno::EINVAL)),
        ("0 - 1", Err(Errno::EINVAL)),
        ("0- 1", Err(Errno::EINVAL)),
        ("0-1:1/0", Err(Errno::EINVAL)),
        ("0:1/1", Err(Errno::EINVAL)),
        ("0-1:1/", Err(Errno::EINVAL)),
        ("n", Err(Errno::EINVAL)),
        ("none", Err(Errno::EINVAL)),
        ("0x1", Err(Errno::EINVAL)),
        ("+0", Err(Errno::EINVAL)),
        ("0-1-1", Err(Errno::EINVAL)),
        ("2", Err(Errno::ERANGE)),
        ("0-2", Err(Errno::ERANGE)),
        ("9999", Err(Errno::ERANGE)),
        ("4294967295", Err(Errno::EINVAL)),
        ("4294967296", Err(Errno::EOVERFLOW)),
        ("99999999999999999999", Err(Errno::EOVERFLOW)),
    ] {
        w.write(g, "cpus", "1").unwrap();
        let written = w.write(g, "cpus", text);
        assert_eq!(written, answer.map(|_| ()), "{text:?}");
        assert_eq!(w.read(g, "cpus"), answer.unwrap_or("1\n"), "{text:?}");
        assert_eq!(w.read(g, "effective_cpus"), answer.unwrap_or("1\n"), "{text:?}");
    }
}

#[test]
fn a_memory_node_that_is_not_online_is_einval_up_to_1023() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    for (text, errno) in [
        ("1", Errno::EINVAL),
        ("1023", Errno::EINVAL),
        ("1024", Errno::ERANGE),
        ("all", Errno::EINVAL),
        ("N", Errno::EINVAL),
        ("0-1", Errno::EINVAL),
    ] {
        assert_eq!(w.write(g, "mems", text), Err(errno), "{text}");
    }
    assert_eq!(w.write(g, "mems", "0"), Ok(()));
}

#[test]
fn the_longest_writes_are_1636_and_6244_bytes() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    for (file, longest) in [("cpus", 1636), ("mems", 6244)] {
        let text = |length: usize| format!("0{}", " ".repeat(length - 1));
        assert_eq!(w.write(g, file, &text(longest)), Ok(()), "{file}");
        assert_eq!(w.write(g, file, &text(longest + 1)), Err(Errno::E2BIG), "{file}");
    }
}

#[test]
fn flags_take_any_number() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    for file in
        ["mem_hardwall", "sched_load_balance", "memory_migrate", "memory_spread_page", "memory_spread_slab"]
    {
        for (text, answer) in [
            ("1", Ok("1\n")),
            ("0", Ok("0\n")),
            ("2", Ok("1\n")),
            ("0x1", Ok("1\n")),
            ("", Ok("1\n")),
            ("-1", Err(Errno::EINVAL)),
            ("abc", Err(Errno::EINVAL)),
            ("1 ", Err(Errno::EINVAL)),
            ("99999999999999999999", Err(Errno::ERANGE)),
        ] {
            let written = w.write(g, file, text);
            assert_eq!(written, answer.map(|_| ()), "{file} {text:?}");
            assert_eq!(w.read(g, file), answer.unwrap_or("1\n"), "{file} {text:?}");
        }
    }
    assert_eq!(w.write(w.root, "memory_pressure_enabled", "2"), Ok(()));
    assert_eq!(w.read(w.root, "memory_pressure_enabled"), "1\n");
}

#[test]
fn the_relax_domain_level_goes_from_minus_1_to_2() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    for (text, answer) in [
        ("2", Ok("2\n")),
        ("0x1", Ok("1\n")),
        ("-0", Ok("0\n")),
        ("-1", Ok("-1\n")),
        ("3", Err(Errno::EINVAL)),
        ("-2", Err(Errno::EINVAL)),
        ("\n", Err(Errno::EINVAL)),
        ("99999999999999999999", Err(Errno::ERANGE)),
    ] {
        assert_eq!(w.write(g, "sched_relax_domain_level", text), answer.map(|_| ()), "{text:?}");
        assert_eq!(w.read(g, "sched_relax_domain_level"), answer.unwrap_or("-1\n"), "{text:?}");
    }
}

#[test]
fn the_root_refuses_lists_before_it_reads_them_but_takes_flags() {
    let mut w = World::new();
    for text in ["0-1", "abc", "9999"] {
        assert_eq!(w.write(w.root, "cpus", text), Err(Errno::EACCES), "{text}");
        assert_eq!(w.write(w.root, "mems", text), Err(Errno::EACCES), "{text}");
    }
    assert_eq!(w.write(w.root, "cpus", ""), Ok(()));
    assert_eq!(w.write(w.root, "cpu_exclusive", "1"), Ok(()));
    assert_eq!(w.write(w.root, "sched_load_balance", "0"), Ok(()));
}

/// T5
#[test]
fn a_cpuset_without_cpus_or_mems_takes_no_task_and_one_with_tasks_is_not_emptied() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    let task = w.spawn();
    assert_eq!(w.attach(g, task), Err(Errno::ENOSPC));
    w.write(g, "cpus", "0").unwrap();
    assert_eq!(w.attach(g, task), Err(Errno::ENOSPC));
    w.write(g, "mems", "0").unwrap();
    assert_eq!(w.attach(g, task), Ok(()));
    assert_eq!(w.write(g, "cpus", "\n"), Err(Errno::ENOSPC));
    assert_eq!(w.write(g, "mems", "\n"), Err(Errno::ENOSPC));
    assert_eq!((w.read(g, "cpus"), w.read(g, "mems")), ("0\n".into(), "0\n".into()));
    w.attach(w.root, task).unwrap();
    assert_eq!((w.write(g, "cpus", "\n"), w.write(g, "mems", "\n")), (Ok(()), Ok(())));
    assert_eq!(w.read(g, "cpus"), "\n");
}

#[test]
fn a_cpuset_can_be_emptied_when_its_last_task_has_died() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0");
    let task = w.spawn();
    w.attach(g, task).unwrap();
    w.host.exit(&mut w.engine, task);
    assert_eq!(w.write(g, "cpus", "\n"), Ok(()));
}

/// T6
#[test]
fn a_child_fits_into_its_parent_and_a_parent_holds_its_children() {
    let mut w = World::new();
    let parent = w.cpuset(w.root, "B", "0");
    let g = w.mkdir(parent, "g");
    assert_eq!(w.write(g, "cpus", "0-1"), Err(Errno::EACCES));
    assert_eq!(w.write(g, "cpus", "1"), Err(Errno::EACCES));
    w.write(parent, "cpus", "0-1").unwrap();
    assert_eq!(w.write(g, "cpus", "1"), Ok(()));
    w.write(g, "mems", "0").unwrap();
    assert_eq!(w.write(parent, "cpus", "0"), Err(Errno::EBUSY));
    assert_eq!(w.write(parent, "cpus", "\n"), Err(Errno::EBUSY));
    assert_eq!(w.write(parent, "mems", "\n"), Err(Errno::EBUSY));
    assert_eq!(w.read(parent, "cpus"), "0-1\n");
}

/// T6
#[test]
fn an_exclusive_cpuset_keeps_siblings_off_its_cpus() {
    let mut w = World::new();
    let parent = w.cpuset(w.root, "B", "0-1");
    let (g, h) = (w.cpuset(parent, "g", "1"), w.cpuset(parent, "h", "0-1"));
    assert_eq!(w.write(g, "cpu_exclusive", "1"), Err(Errno::EACCES), "the parent is not exclusive");
    w.write(parent, "cpu_exclusive", "1").unwrap();
    assert_eq!(w.write(g, "cpu_exclusive", "1"), Err(Errno::EINVAL), "the sibling overlaps");
    w.write(h, "cpus", "0").unwrap();
    assert_eq!(w.write(g, "cpu_exclusive", "1"), Ok(()));
    assert_eq!(w.write(h, "cpus", "0-1"), Err(Errno::EINVAL));
    assert_eq!(w.write(h, "cpus", "1"), Err(Errno::EINVAL));
    assert_eq!(w.write(parent, "cpu_exclusive", "0"), Err(Errno::EBUSY), "the child is exclusive");
    w.write(g, "cpu_exclusive", "0").unwrap();
    assert_eq!(w.write(parent, "cpu_exclusive", "0"), Ok(()));
}

#[test]
fn an_exclusive_cpuset_keeps_siblings_off_its_mems() {
    let mut w = World::new();
    let parent = w.cpuset(w.root, "B", "0-1");
    let (g, h) = (w.cpuset(parent, "g", "0"), w.cpuset(parent, "h", "1"));
    assert_eq!(w.write(g, "mem_exclusive", "1"), Err(Errno::EACCES));
    w.write(parent, "mem_exclusive", "1").unwrap();
    assert_eq!(w.write(g, "mem_exclusive", "1"), Err(Errno::EINVAL));
    w.write(h, "mems", "\n").unwrap();
    assert_eq!(w.write(g, "mem_exclusive", "1"), Ok(()));
    assert_eq!(w.write(h, "mems", "0"), Err(Errno::EINVAL));
}

#[test]
fn an_exclusive_cpuset_is_not_emptied_of_cpus() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0-1");
    w.write(g, "cpu_exclusive", "1").unwrap();
    assert_eq!(w.write(g, "cpus", "\n"), Err(Errno::EBUSY));
    assert_eq!(w.write(g, "cpus", "0"), Ok(()));
    w.write(g, "sched_load_balance", "0").unwrap();
    assert_eq!(w.write(g, "cpus", "\n"), Ok(()), "without load balance there is no domain of its own");
}

#[test]
fn members_follow_the_cpus_at_a_move_and_at_a_change() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0");
    let process = w.spawn();
    let thread = w.host.fork(&mut w.engine, process, true).unwrap();
    let stranger = w.spawn();
    w.engine.attach(&mut w.host, &administrator(), g, process, true).unwrap();
    assert_eq!((w.affinity(process), w.affinity(thread)), ("0".into(), "0".into()));
    w.write(g, "cpus", "1").unwrap();
    assert_eq!((w.affinity(process), w.affinity(thread)), ("1".into(), "1".into()));
    let child = w.host.fork(&mut w.engine, thread, false).unwrap();
    assert_eq!(w.affinity(child), "1", "inherited");
    w.attach(w.root, thread).unwrap();
    assert_eq!((w.affinity(process), w.affinity(thread)), ("1".into(), "0-1".into()));
    assert_eq!(w.affinity(stranger), "0-1");
}

#[test]
fn writing_the_same_cpus_again_leaves_members_alone() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0-1");
    let task = w.spawn();
    w.attach(g, task).unwrap();
    w.host.get_mut(task).unwrap().affinity = Mask::single(1);
    w.write(g, "cpus", "0-1").unwrap();
    assert_eq!(w.affinity(task), "1");
}

#[test]
fn memory_follows_only_with_memory_migrate() {
    let mut w = World::new();
    w.host.nodes = Mask::first(2);
    let mut w = {
        // The root takes the nodes over when it is mounted again.
        w.engine.unmount(&mut w.host, w.root).unwrap();
        let root = w.engine.mount(&mut w.host, &administrator(), "cpuset").unwrap().root;
        World { root, ..w }
    };
    let g = w.cpuset(w.root, "g", "0");
    let (first, second) = (w.spawn(), w.spawn());
    let thread = w.host.fork(&mut w.engine, second, true).unwrap();
    w.attach(g, first).unwrap();
    assert_eq!(w.memory(first), "0");
    assert_eq!(w.host.get(first).unwrap().migrated_from, None);
    w.write(g, "memory_migrate", "1").unwrap();
    w.engine.attach(&mut w.host, &administrator(), g, second, true).unwrap();
    assert_eq!(w.host.get(second).unwrap().migrated_from, Some(Mask::first(2)));
    assert_eq!(w.host.get(thread).unwrap().migrated_from, None, "once for the process");
    w.write(g, "mems", "1").unwrap();
    assert_eq!(w.host.get(first).unwrap().migrated_from, Some(Mask::single(0)));
    assert_eq!((w.memory(first), w.memory(thread)), ("1".into(), "1".into()));
}

#[test]
fn a_host_that_cannot_bind_tasks_refuses_a_narrower_set_and_only_that() {
    let mut w = World::new();
    w.host.cannot = vec![Need::Affinity];
    let g = w.mkdir(w.root, "g");
    assert_eq!(w.write(g, "cpus", "0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(g, "cpus"), "\n");
    assert_eq!(w.write(g, "cpus", "0-1"), Ok(()));
    assert_eq!(w.write(g, "cpus", "7"), Err(Errno::ERANGE), "what is wrong anyway comes first");
    w.host.nodes = Mask::first(2);
    w.host.cannot = vec![Need::MemoryNodes];
    assert_eq!(w.write(g, "mems", "0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.write(g, "cpus", "0"), Ok(()));
}

#[test]
fn a_member_that_cannot_be_bound_undoes_the_change_of_all() {
    let mut w = World::new();
    let g = w.cpuset(w.root, "g", "0");
    let tasks = [w.spawn(), w.spawn(), w.spawn()];
    for task in tasks {
        w.attach(g, task).unwrap();
    }
    w.host.unbindable.insert(tasks[1]);
    assert_eq!(w.write(g, "cpus", "1"), Err(Errno::EPERM));
    assert_eq!(w.read(g, "cpus"), "0\n");
    assert_eq!(tasks.map(|task| w.affinity(task)), ["0", "0", "0"]);
}

#[test]
fn a_cloned_child_has_its_parents_cpus_and_mems_unless_a_sibling_is_exclusive() {
    let mut w = World::new();
    let parent = w.cpuset(w.root, "B", "0");
    for flag in ["cpu_exclusive", "memory_migrate"] {
        w.write(parent, flag, "1").unwrap();
    }
    let plain = w.mkdir(parent, "plain");
    assert_eq!((w.read(plain, "cpus"), w.read(plain, "mems")), ("\n".into(), "\n".into()));
    let clone = w.engine.find_file(parent, "cgroup.clone_children").unwrap();
    w.engine.write(&mut w.host, &administrator(), parent, clone, b"1").unwrap();
    let k = w.mkdir(parent, "k");
    assert_eq!((w.read(k, "cpus"), w.read(k, "mems")), ("0\n".into(), "0\n".into()));
    assert_eq!((w.read(k, "cpu_exclusive"), w.read(k, "memory_migrate")), ("0\n".into(), "0\n".into()));
    w.write(k, "cpus", "\n").unwrap();
    w.write(plain, "cpu_exclusive", "1").unwrap();
    let late = w.mkdir(parent, "late");
    assert_eq!((w.read(late, "cpus"), w.read(late, "mems")), ("\n".into(), "\n".into()));
}

#[test]
fn a_child_inherits_the_spread_flags_and_no_other() {
    let mut w = World::new();
    let parent = w.mkdir(w.root, "B");
    for flag in ["memory_spread_page", "memory_spread_slab", "mem_hardwall", "memory_migrate"] {
        w.write(parent, flag, "1").unwrap();
    }
    w.write(parent, "sched_load_balance", "0").unwrap();
    w.write(parent, "sched_relax_domain_level", "1").unwrap();
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

#[test]
fn loading_late_and_binding_again_disturb_no_task() {
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(4));
    let task = host.spawn(&mut engine, 0);
    host.get_mut(task).unwrap().affinity = Mask::single(3);
    engine.load(&mut host, Cpuset::default()).unwrap();
    for _ in 0..2 {
        let root = engine.mount(&mut host, &administrator(), "cpuset").unwrap().root;
        engine.unmount(&mut host, root).unwrap();
    }
    engine.unload(&mut host, "cpuset").unwrap();
    assert_eq!(host.get(task).unwrap().affinity, Mask::single(3));
}

#[test]
fn a_move_between_equal_cpusets_leaves_a_tasks_own_affinity_alone() {
    let mut w = World::new();
    let (g, h) = (w.cpuset(w.root, "g", "0-1"), w.cpuset(w.root, "h", "0-1"));
    let task = w.spawn();
    w.attach(g, task).unwrap();
    w.host.get_mut(task).unwrap().affinity = Mask::single(1);
    w.attach(h, task).unwrap();
    assert_eq!(w.affinity(task), "1");
}

#[test]
fn in_v2_mode_what_is_configured_is_kept_apart_from_what_is_effective() {
    let mut w = World::with(4, "cpuset,cpuset_v2_mode");
    let parent = w.mkdir(w.root, "B");
    let child = w.mkdir(parent, "c");
    assert_eq!(w.read(child, "effective_cpus"), "0-3\n");
    let task = w.spawn();
    w.attach(child, task).unwrap();
    w.write(parent, "cpus", "0-1").unwrap();
    assert_eq!(w.affinity(task), "0-1", "the change reaches the tasks below");
    w.write(child, "cpus", "1-2").unwrap();
    assert_eq!((w.read(child, "cpus"), w.read(child, "effective_cpus")), ("1-2\n".into(), "1\n".into()));
    assert_eq!(w.affinity(task), "1");
    w.write(parent, "cpus", "3").unwrap();
    assert_eq!((w.read(child, "effective_cpus"), w.affinity(task)), ("3\n".into(), "3".into()));
}

#[test]
fn the_old_file_system_type_has_the_files_without_prefix() {
    let w = World::with(2, "cpuset,noprefix");
    for file in ["cpus", "mems", "memory_pressure_enabled"] {
        assert!(w.engine.find_file(w.root, file).is_some(), "{file}");
    }
}
