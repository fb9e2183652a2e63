//! CPU time in the root of a daemon: that of the machine, since the root lists every task of the machine.

mod common;
mod contained;
mod hosted;

use hosted::{PYTHON, TestHost};
use penfold_core::CgroupId;
use penfold_linux::{proc::machine_time, trace::ExecOptions};
use penfold_testkit::{needs, skip, wait_until};

/// Nanoseconds of the steps of `/proc/stat`.
const TICK: u64 = 10_000_000;

/// The kernel's own root.
const KERNEL: &str = "/sys/fs/cgroup/cpuacct";

fn number(hosted: &TestHost, cgroup: CgroupId, file: &'static str) -> u64 {
    hosted.read(cgroup, file).parse().expect("a number")
}

/// The machine's time, with as many CPUs as the root shows: the sum is rounded differently with others.
fn machine(hosted: &TestHost) -> u64 {
    let cpus = hosted.read(hosted.root, "cpuacct.usage_percpu").split_ascii_whitespace().count();
    machine_time(cpus).expect("procfs").total().total()
}

#[test]
fn root_has_the_time_of_the_machine_in_every_file() {
    let hosted = TestHost::start();
    let root = hosted.root;
    let before = machine(&hosted);
    let usage = number(&hosted, root, "cpuacct.usage");
    let user = number(&hosted, root, "cpuacct.usage_user");
    let system = number(&hosted, root, "cpuacct.usage_sys");
    let percpu: u64 = sum(&hosted.read(root, "cpuacct.usage_percpu"));
    let table: u64 = hosted
        .read(root, "cpuacct.usage_all")
        .lines()
        .skip(1)
        .map(|line| sum(line.split_once(' ').expect("a line of numbers").1))
        .sum();
    let stat = hosted.read(root, "cpuacct.stat");
    let ticks: u64 = stat
        .lines()
        .map(|line| line.split_once(' ').expect("a pair").1.parse::<u64>().expect("a number"))
        .sum();
    let after = machine(&hosted);
    let between = |what: &str, value: u64| assert!((before..=after).contains(&value), "{what}: {value}");
    between("usage", usage);
    between("usage_user and usage_sys", user + system);
    between("usage_percpu", percpu);
    between("usage_all", table);
    between("stat", ticks * TICK);
}

fn sum(numbers: &str) -> u64 {
    numbers.split_ascii_whitespace().map(|number| number.parse::<u64>().expect("a number")).sum()
}

#[test]
fn root_shows_the_same_parts_as_the_kernels_root() {
    let kernel = |file: &str| -> Option<u64> {
        std::fs::read_to_string(format!("{KERNEL}/cpuacct.{file}")).ok()?.trim().parse().ok()
    };
    if kernel("usage_user").is_none() {
        return skip("the kernel's cpuacct of cgroup v1 is not mounted");
    }
    let hosted = TestHost::start();
    let cpus = std::fs::read_to_string("/proc/stat").expect("procfs").matches("\ncpu").count() as u64;
    // each number of `/proc/stat` is rounded down to a tick: two of user mode, three of the kernel
    for (file, ours, numbers) in
        [("usage_user", "cpuacct.usage_user", 2), ("usage_sys", "cpuacct.usage_sys", 3)]
    {
        let before = kernel(file).expect("it is mounted") - numbers * cpus * TICK;
        let shown = number(&hosted, hosted.root, ours);
        let after = kernel(file).expect("it is mounted");
        assert!((before..=after).contains(&shown), "{file}: {shown} is not in {before}..={after}");
    }
}

#[test]
fn reset_of_the_root_is_taken_and_changes_nothing() {
    needs!("python3");
    let hosted = TestHost::start();
    let (root, child) = (hosted.root, hosted.cgroup("child"));
    let busy = hosted.exec(child, &[PYTHON, "-c", "while True: pass"], ExecOptions::default());
    wait_until("the child has used a CPU", || number(&hosted, child, "cpuacct.usage") > 2 * TICK);
    let before = number(&hosted, root, "cpuacct.usage");
    hosted.write(root, "cpuacct.usage", 0);
    let child_used = number(&hosted, child, "cpuacct.usage");
    let after = number(&hosted, root, "cpuacct.usage");
    assert!(after >= before && after >= child_used, "{before} {after} {child_used}");
    assert_eq!(hosted.refused(root, "cpuacct.usage", 1).0, penfold_core::Errno::EINVAL);
    hosted.write(child, "cpuacct.usage", 0);
    assert!(number(&hosted, root, "cpuacct.usage") >= after, "the root keeps the time of its children");
    drop(busy);
}
