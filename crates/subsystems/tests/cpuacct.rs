//! cpuacct on the simulated host: the facts of Linux 6.18.

use crate::subject::cpuacct;
use penfold_core::{Errno, host::EventMask, subsystem::CpuTime};
use penfold_testkit::SimWorld;

/// The controller under test, built in. `crates/subsystems/modules` runs the same tests with a module of that name.
#[allow(dead_code)]
mod subject {
    pub(crate) fn cpuacct() -> penfold_subsystems::CpuAcct {
        penfold_subsystems::CpuAcct
    }
}

const MS: u64 = 1_000_000;

fn world(cpus: usize) -> SimWorld {
    let mut world = SimWorld::with_cpus(cpus);
    world.mount_controller(cpuacct(), "cpuacct");
    world
}

fn ms(user: u64, system: u64) -> CpuTime {
    CpuTime { user: user * MS, system: system * MS }
}

#[test]
fn files_have_the_kernels_order_and_modes() {
    let mut world = world(2);
    let child = world.mkdir(world.top, "g");
    for cgroup in [world.top, child] {
        let files = world.engine.files(cgroup).unwrap();
        let ours = files.iter().filter(|file| file.name.starts_with("cpuacct."));
        let ours: Vec<String> = ours.map(|file| format!("{:o} {}", file.owner.mode, file.name)).collect();
        let expected = [
            "644 cpuacct.usage",
            "444 cpuacct.usage_user",
            "444 cpuacct.usage_sys",
            "444 cpuacct.usage_percpu",
            "444 cpuacct.usage_percpu_user",
            "444 cpuacct.usage_percpu_sys",
            "444 cpuacct.usage_all",
            "444 cpuacct.stat",
        ];
        assert_eq!(ours, expected);
    }
}

#[test]
fn every_file_shows_its_part_byte_for_byte() {
    let mut world = world(2);
    let group = world.mkdir(world.top, "g");
    assert_eq!(world.read(group, "usage_all"), "cpu user system\n0 0 0\n1 0 0\n");
    assert_eq!(world.read(group, "usage_percpu"), "0 0 \n");
    assert_eq!(world.read(group, "stat"), "user 0\nsystem 0\n");

    let task = world.spawn_in(group);
    world.host.run(task, 1, CpuTime { user: 619_987_886, system: 2_528_067 });
    world.host.run(task, 0, CpuTime { user: 5, system: 7 });
    assert_eq!(world.read(group, "usage"), "622515965\n");
    assert_eq!(world.read(group, "usage_user"), "619987891\n");
    assert_eq!(world.read(group, "usage_sys"), "2528074\n");
    assert_eq!(world.read(group, "usage_percpu"), "12 622515953 \n");
    assert_eq!(world.read(group, "usage_percpu_user"), "5 619987886 \n");
    assert_eq!(world.read(group, "usage_percpu_sys"), "7 2528067 \n");
    assert_eq!(world.read(group, "usage_all"), "cpu user system\n0 5 7\n1 619987886 2528067\n");
    assert_eq!(world.read(group, "stat"), "user 61\nsystem 0\n");
}

#[test]
fn every_cpu_has_a_row_used_or_not() {
    let mut world = world(4);
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.run(task, 1, ms(1, 0));
    assert_eq!(world.read(group, "usage_percpu"), "0 1000000 0 0 \n");
    assert_eq!(world.read(group, "usage_all").lines().count(), 5);
}

#[test]
fn time_is_charged_to_every_ancestor_and_to_no_sibling() {
    let mut world = world(2);
    let parent = world.mkdir(world.top, "p");
    let (child, sibling) = (world.mkdir(parent, "c"), world.mkdir(parent, "s"));
    let task = world.spawn_in(child);
    world.host.run(task, 0, ms(3, 4));
    for cgroup in [child, parent, world.top] {
        assert_eq!(world.read(cgroup, "usage"), "7000000\n");
    }
    assert_eq!(world.read(sibling, "usage"), "0\n");
}

#[test]
fn task_that_moves_leaves_unreported_time_behind_too() {
    let mut world = world(2);
    let (old, new) = (world.mkdir(world.top, "old"), world.mkdir(world.top, "new"));
    let task = world.spawn_in(old);
    world.host.run(task, 0, ms(10, 0));
    // No read has come since: only the host knows the time.
    world.attach(new, task);
    world.host.run(task, 0, ms(1, 0));
    assert_eq!(world.read(old, "usage"), "10000000\n");
    assert_eq!(world.read(new, "usage"), "1000000\n");
}

#[test]
fn time_survives_the_task_and_a_removed_child() {
    let mut world = world(2);
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.run(task, 0, ms(30, 20));
    world.exit(task);
    assert_eq!(world.read(group, "usage"), "50000000\n");
    world.rmdir(group);
    assert_eq!(world.read(world.top, "stat"), "user 3\nsystem 2\n");
    // The number of a removed cgroup is reused, its time is not.
    let again = world.mkdir(world.top, "g");
    assert_eq!(
        (world.read(again, "usage"), world.read(again, "stat")),
        ("0\n".into(), "user 0\nsystem 0\n".into())
    );
}

#[test]
fn usage_takes_only_zero() {
    let mut world = world(2);
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.run(task, 0, ms(1, 0));
    let refused = [
        ("5", Errno::EINVAL),
        ("abc", Errno::EINVAL),
        ("\n", Errno::EINVAL),
        ("-1", Errno::EINVAL),
        (" 0", Errno::EINVAL),
        ("0 ", Errno::EINVAL),
        ("99999999999999999999", Errno::ERANGE),
    ];
    for (text, errno) in refused {
        assert_eq!(world.try_write(group, "usage", text), Err(errno), "{text:?}");
    }
    assert_eq!(world.try_write(group, "usage", ""), Ok(()));
    assert_eq!(world.read(group, "usage"), "1000000\n", "nothing refused has reset it");
    for text in ["0", "0\n", "0x0", "00", "+0"] {
        world.host.run(task, 0, ms(1, 0));
        assert_eq!(world.try_write(group, "usage", text), Ok(()), "{text:?}");
        assert_eq!(world.read(group, "usage"), "0\n", "{text:?}");
    }
    let readonly = ["usage_user", "usage_sys", "usage_percpu", "usage_percpu_user", "usage_percpu_sys"];
    for file in readonly.into_iter().chain(["usage_all", "stat"]) {
        assert_eq!(world.try_write(group, file, "0"), Err(Errno::EINVAL), "{file}");
    }
}

#[test]
fn reset_is_of_one_cgroup_and_not_of_stat() {
    let mut world = world(2);
    let parent = world.mkdir(world.top, "p");
    let child = world.mkdir(parent, "c");
    let task = world.spawn_in(child);
    world.host.run(task, 0, ms(620, 0));
    assert_eq!(world.read(parent, "stat"), "user 62\nsystem 0\n");

    world.write(parent, "usage", "0");
    for file in ["usage", "usage_user", "usage_sys"] {
        assert_eq!(world.read(parent, file), "0\n", "{file}");
    }
    assert_eq!(world.read(parent, "usage_all"), "cpu user system\n0 0 0\n1 0 0\n");
    assert_eq!(world.read(parent, "stat"), "user 62\nsystem 0\n");
    assert_eq!(world.read(child, "usage"), "620000000\n");
    assert_eq!(world.read(world.top, "usage"), "620000000\n");
}

#[test]
fn reset_covers_time_that_is_not_reported_yet() {
    let mut world = world(2);
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.run(task, 0, ms(100, 0));
    world.write(group, "usage", "0");
    assert_eq!(world.read(group, "usage"), "0\n");
}

#[test]
fn stat_stands_still_after_a_reset_until_it_is_exceeded() {
    let mut world = world(2);
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.run(task, 0, ms(620, 0));
    assert_eq!(world.read(group, "stat"), "user 62\nsystem 0\n");
    world.write(group, "usage", "0");

    world.host.run(task, 0, ms(290, 5));
    assert_eq!(world.read(group, "usage"), "295000000\n");
    assert_eq!(world.read(group, "stat"), "user 62\nsystem 0\n");
    world.host.run(task, 0, ms(310, 100));
    assert_eq!(world.read(group, "usage"), "705000000\n");
    assert_eq!(world.read(group, "stat"), "user 62\nsystem 8\n");
}

#[test]
fn reset_forgets_a_stat_that_was_never_read() {
    let mut world = world(2);
    let group = world.mkdir(world.top, "g");
    let task = world.spawn_in(group);
    world.host.run(task, 0, ms(300, 0));
    world.write(group, "usage", "0");
    assert_eq!(world.read(group, "stat"), "user 0\nsystem 0\n");
}

#[test]
fn cpuacct_needs_cpu_time_and_nothing_else() {
    assert_eq!(world(2).engine.event_mask(), EventMask::CPU_TIME);
}
