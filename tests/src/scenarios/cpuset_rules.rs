//! cpuset's rules about members and about the tree.

use super::cpuset::prepare;
use crate::scenario_run::ScenarioRun;

pub(super) fn members(run: &mut ScenarioRun) {
    prepare(run);
    run.section("a group that lacks cpus or mems takes nobody");
    run.spawn("p");
    run.write("C/g/tasks", "{p}");
    run.write("C/g/cpuset.cpus", "0");
    run.write("C/g/tasks", "{p}");
    run.write("C/g/cgroup.procs", "{p}");
    run.write("C/g/cpuset.mems", "0");
    run.write("C/g/tasks", "{p}");
    run.affinity("p");
    run.section("with a member neither may become empty");
    for text in ["\n", ""] {
        run.write("C/g/cpuset.cpus", text);
        run.write("C/g/cpuset.mems", text);
    }
    run.write("C/g/cpuset.cpus", "1");
    run.affinity("p");
    run.section("/proc");
    run.proc_cpuset("p");
    run.proc_cgroup("p");
    run.section("a zombie does not count");
    run.kill("p");
    run.proc_cpuset("p");
    run.proc_cgroup("p");
    run.write("C/g/cpuset.cpus", "\n");
    run.read_all("C/g", &["cpuset.cpus", "cpuset.effective_cpus"]);
    run.reap("p");
    run.proc_cpuset("p");
    run.write("C/g/cpuset.mems", "\n");
    run.read_all("C/g", &["cpuset.mems", "cpuset.effective_mems"]);
    run.section("a kernel thread that is bound to a CPU, or all of them");
    run.write("C/tasks", "2");
}

pub(super) fn affinity(run: &mut ScenarioRun) {
    prepare(run);
    run.write("C/g/cpuset.mems", "0");
    run.section("what a task asked for itself is a wish that is kept");
    run.write("C/g/cpuset.cpus", "0");
    run.spawn("p");
    run.set_affinity("p", &[1]);
    run.write("C/g/tasks", "{p}");
    run.affinity("p");
    for cpus in ["0-1", "0", "1"] {
        run.write("C/g/cpuset.cpus", cpus);
        run.affinity("p");
    }
    run.write("C/g/cpuset.cpus", "0");
    run.write("C.root/tasks", "{p}");
    run.affinity("p");
    run.exit("p");
    run.section("asking inside");
    run.spawn("q");
    run.write("C/g/tasks", "{q}");
    for cpus in [&[1][..], &[0, 1], &[0]] {
        run.set_affinity("q", cpus);
        run.affinity("q");
    }
    run.write("C/g/cpuset.cpus", "0-1");
    run.affinity("q");
    run.set_affinity("q", &[1]);
    run.section("writing what is there already, attaching who is there already");
    run.write("C/g/cpuset.cpus", "0-1");
    run.affinity("q");
    run.write("C/g/tasks", "{q}");
    run.affinity("q");
    run.section("every thread, and children");
    run.thread("q", "t");
    run.fork("q", "c");
    run.write("C/g/cpuset.cpus", "0");
    for role in ["q", "t", "c"] {
        run.affinity(role);
    }
    run.section("one thread elsewhere");
    run.mkdir("C/h");
    run.write("C/h/cpuset.cpus", "1");
    run.write("C/h/cpuset.mems", "0");
    run.write("C/h/tasks", "{t}");
    for role in ["q", "t"] {
        run.affinity(role);
    }
    run.exit("c");
    run.exit("q");
}

pub(super) fn hierarchy(run: &mut ScenarioRun) {
    prepare(run);
    run.mkdir("C/h");
    run.section("a child within its parent");
    run.write("C/cpuset.cpus", "0");
    for cpus in ["0-1", "1", "0"] {
        run.write("C/g/cpuset.cpus", cpus);
    }
    run.section("a parent around its children");
    run.write("C/cpuset.cpus", "0-1");
    run.write("C/g/cpuset.cpus", "1");
    run.write("C/g/cpuset.mems", "0");
    run.write("C/cpuset.cpus", "0");
    run.write("C/cpuset.cpus", "\n");
    run.write("C/cpuset.mems", "\n");
    run.section("exclusive cpus");
    run.write("C/h/cpuset.cpus", "0-1");
    run.write("C/g/cpuset.cpu_exclusive", "1");
    run.write("C/cpuset.cpu_exclusive", "1");
    run.write("C/g/cpuset.cpu_exclusive", "1");
    run.write("C/h/cpuset.cpus", "0");
    run.write("C/g/cpuset.cpu_exclusive", "1");
    for cpus in ["0-1", "1"] {
        run.write("C/h/cpuset.cpus", cpus);
    }
    run.write("C/cpuset.cpu_exclusive", "0");
    run.write("C/g/cpuset.cpu_exclusive", "0");
    run.write("C/cpuset.cpu_exclusive", "0");
    run.section("exclusive mems");
    run.write("C/h/cpuset.mems", "0");
    run.write("C/g/cpuset.mem_exclusive", "1");
    run.write("C/cpuset.mem_exclusive", "1");
    run.write("C/g/cpuset.mem_exclusive", "1");
    run.write("C/h/cpuset.mems", "\n");
    run.write("C/g/cpuset.mem_exclusive", "1");
    run.write("C/h/cpuset.mems", "0");
    run.write("C/cpuset.mem_exclusive", "0");
    run.section("a hard wall needs no parent");
    run.write("C/h/cpuset.mem_hardwall", "1");
}

pub(super) fn clone_children(run: &mut ScenarioRun) {
    prepare(run);
    let files = [
        "cpuset.cpus",
        "cpuset.mems",
        "cpuset.effective_cpus",
        "cpuset.effective_mems",
        "cpuset.cpu_exclusive",
        "cpuset.mem_exclusive",
        "cpuset.mem_hardwall",
        "cpuset.sched_load_balance",
        "cpuset.memory_migrate",
        "cpuset.memory_spread_page",
        "cpuset.memory_spread_slab",
        "cpuset.sched_relax_domain_level",
        "cgroup.clone_children",
    ];
    for (file, text) in [
        ("mem_hardwall", "1"),
        ("sched_load_balance", "0"),
        ("memory_migrate", "1"),
        ("memory_spread_page", "1"),
        ("memory_spread_slab", "1"),
        ("sched_relax_domain_level", "0"),
    ] {
        run.write(&format!("C/cpuset.{file}"), text);
    }
    run.section("without");
    run.mkdir("C/k");
    run.read_all("C/k", &files);
    run.rmdir("C/k");
    run.section("with");
    run.write("C/cgroup.clone_children", "1");
    run.mkdir("C/k");
    run.read_all("C/k", &files);
    run.rmdir("C/k");
    run.section("not beside an exclusive sibling");
    run.write("C/cpuset.cpu_exclusive", "1");
    run.write("C/g/cpuset.cpus", "1");
    run.write("C/g/cpuset.cpu_exclusive", "1");
    run.mkdir("C/k");
    run.read_all("C/k", &files);
}
