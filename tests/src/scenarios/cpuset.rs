//! The files of cpuset and the texts that they accept. Needs two CPUs and one memory node.

use crate::scenario_run::ScenarioRun;

const FLAGS: [&str; 7] = [
    "cpu_exclusive",
    "mem_exclusive",
    "mem_hardwall",
    "sched_load_balance",
    "memory_migrate",
    "memory_spread_page",
    "memory_spread_slab",
];

pub(super) fn files(run: &mut ScenarioRun) {
    run.open_controller("C", "cpuset");
    run.list_files("C.root");
    run.list("C");
    let values =
        ["cpus", "mems", "effective_cpus", "effective_mems", "memory_pressure", "sched_relax_domain_level"];
    for place in ["C.root", "C"] {
        for file in values.iter().chain(&FLAGS) {
            run.stat(&format!("{place}/cpuset.{file}"));
            run.read(&format!("{place}/cpuset.{file}"));
        }
    }
    run.stat("C.root/cpuset.memory_pressure_enabled");
    run.section("the root's sets cannot be written");
    for text in ["0-1", "abc", "9999", ""] {
        run.write("C.root/cpuset.cpus", text);
        run.write("C.root/cpuset.mems", text);
    }
    run.section("files without a write handler");
    for file in ["memory_pressure", "effective_cpus", "effective_mems"] {
        run.write(&format!("C/cpuset.{file}"), "0");
    }
}

/// A group `C/g` below one that has all CPUs and memory nodes.
pub(super) fn prepare(run: &mut ScenarioRun) {
    run.open_controller("C", "cpuset");
    run.write("C/cpuset.cpus", "0-1");
    run.write("C/cpuset.mems", "0");
    run.mkdir("C/g");
}

pub(super) fn lists(run: &mut ScenarioRun) {
    prepare(run);
    run.write_table(
        "C/g/cpuset.cpus",
        "1",
        &[
            "0", "0-1", "0,1", "1,0", "0,0", "0-1,1", "01", "0-", "-0", "-", "0--1", "-1", "0-1-1", "1-0",
            "0,,1", ",", ",0", "0,", ",,", "0-1,", " 0 ", "\t0\n", "0 ,1", "0, 1", "0 1", "0 - 1", "0- 1",
            "0\n1", "0\0", "0\0x", "", "\n", "  ", "0x1", "+0", "a", "0a", "0;1", "0/1",
        ],
    );
    run.section("groups, names");
    run.write_table(
        "C/g/cpuset.cpus",
        "1",
        &[
            "0-1:1/2", "0-1:1/1", "0-1:2/2", "0-1:0/2", "0-1:1/0", "0-1:3/2", "0:1/1", "0-1:1", "0-1:",
            "0-1:1/", "N", "0-N", "N-N", "n", "0,N", "all", "ALL", "1,all", "all:1/2", "none",
        ],
    );
    run.section("too high");
    let high = ["9999", "0-9999", "4294967295", "4294967296", "99999999999999999999"];
    run.write_table("C/g/cpuset.cpus", "1", &high);
    run.write_table("C/g/cpuset.cpus", "1", &[&"0,".repeat(4000)]);
    run.section("memory nodes");
    run.write_table(
        "C/g/cpuset.mems",
        "0",
        &["0", "0,0", " 0 ", "0-", "1", "0-1", "9999", "a", "none", "", "\n"],
    );
}

pub(super) fn flags(run: &mut ScenarioRun) {
    prepare(run);
    for flag in FLAGS {
        // the exclusive flags need their parent's: 0 is the only value that always fits
        let texts = ["0", "1", "2", "1\n", "0x1", "-1", " 1", "1 ", "abc", "", "\n", "99999999999999999999"];
        run.write_table(&format!("C/g/cpuset.{flag}"), "0", &texts);
    }
    let levels = [
        "-1",
        "0",
        "-2",
        "-0",
        "+0",
        "0x0",
        "0\n",
        " 0",
        "--1",
        "abc",
        "",
        "\n",
        "9999",
        "99999999999999999999",
        "-99999999999999999999",
    ];
    run.write_table("C/g/cpuset.sched_relax_domain_level", "-1", &levels);
}
