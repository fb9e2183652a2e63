//! The pids controller.

use crate::scenario_run::ScenarioRun;

pub(super) fn limits(run: &mut ScenarioRun) {
    run.open_controller("P", "pids");
    run.list("P");
    for file in ["pids.max", "pids.current", "pids.peak", "pids.events"] {
        run.stat(&format!("P/{file}"));
        run.read(&format!("P/{file}"));
    }
    run.mkdir("P/g");
    run.mkdir("P/g/c");
    run.spawn("p");
    run.write("P/g/c/cgroup.procs", "{p}");
    look(run);
    run.section("the parent's limit");
    run.write("P/g/pids.max", "2");
    run.fork("p", "c1");
    look(run);
    run.fork("p", "c2");
    look(run);
    run.thread("p", "t1");
    look(run);
    run.section("both limits, then only the own");
    run.write("P/g/c/pids.max", "2");
    run.fork("p", "c3");
    run.write("P/g/pids.max", "max");
    run.fork("p", "c4");
    look(run);
    run.section("a child that left makes room");
    run.exit("c1");
    look(run);
    run.fork("p", "c5");
    look(run);
    run.section("attach is never refused");
    run.spawn("q");
    run.write("P/g/c/cgroup.procs", "{q}");
    look(run);
    run.section("a limit below what is there");
    run.write("P/g/c/pids.max", "0");
    look(run);
    run.fork("p", "c6");
    look(run);
    run.section("moving within the tree");
    run.write("P/g/cgroup.procs", "{p}");
    look(run);
    for role in ["c5", "q", "p"] {
        run.exit(role);
    }
    look(run);
}

fn look(run: &mut ScenarioRun) {
    for group in ["P", "P/g", "P/g/c"] {
        run.read_all(group, &["pids.current", "pids.peak", "pids.events"]);
    }
}

pub(super) fn max(run: &mut ScenarioRun) {
    run.open_controller("P", "pids");
    run.list_files("P.root");
    let zeros = format!("{}5", "0".repeat(64));
    let texts = [
        "max",
        "max\n",
        " max ",
        "MAX",
        "maxx",
        "max 5",
        "-max",
        "m",
        "5",
        "5\n",
        " 5",
        "5 ",
        "\t5\n\n",
        "+5",
        "-1",
        "-0",
        "0x10",
        "010",
        "",
        "\n",
        " ",
        "0",
        "4194303",
        "4194304",
        "4194305",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999",
        "5 6",
        "5x",
        "5k",
        "abc",
        "5\0",
        &zeros,
    ];
    run.write_table("P/pids.max", "7", &texts);
    for length in [4096, 4097] {
        run.write_table("P/pids.max", "7", &[&format!("5{}", " ".repeat(length - 1))]);
    }
    run.section("files without a write handler");
    for file in ["pids.current", "pids.peak", "pids.events"] {
        run.write(&format!("P/{file}"), "0");
    }
}

pub(super) fn zombies(run: &mut ScenarioRun) {
    run.open_controller("P", "pids");
    run.spawn("p");
    run.write("P/cgroup.procs", "{p}");
    run.write("P/pids.max", "2");
    run.fork("p", "c1");
    run.section("dead but not reaped");
    run.kill("c1");
    run.read("P/tasks");
    run.read("P/pids.current");
    run.section("reaped");
    run.reap("c1");
    run.read("P/pids.current");
    run.fork("p", "c2");
    run.read("P/tasks");
    run.exit("c2");
    run.exit("p");
}
