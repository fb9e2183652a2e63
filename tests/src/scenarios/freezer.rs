//! The freezer.

use crate::scenario_run::ScenarioRun;

fn look(run: &mut ScenarioRun, group: &str) {
    run.read_all(group, &["freezer.state", "freezer.self_freezing", "freezer.parent_freezing"]);
}

pub(super) fn writes(run: &mut ScenarioRun) {
    run.open_controller("F", "freezer");
    run.list_files("F.root");
    run.list("F");
    for file in ["freezer.state", "freezer.self_freezing", "freezer.parent_freezing"] {
        run.stat(&format!("F/{file}"));
    }
    let texts = [
        "FROZEN",
        "FROZEN\n",
        " FROZEN ",
        "\tFROZEN\n\n",
        "FROZEN\0",
        "FROZEN\0x",
        "THAWED",
        "FREEZING",
        "frozen",
        "FROZENx",
        "FROZEN THAWED",
        "",
        "\n",
        "0",
        "1",
    ];
    run.write_table("F/freezer.state", "THAWED", &texts);
    run.write_table("F/freezer.state", "FROZEN", &["THAWED", "THAWED\n", "FROZEN", "FREEZING", ""]);
    run.write("F/freezer.state", "THAWED");
    for file in ["freezer.self_freezing", "freezer.parent_freezing"] {
        run.write(&format!("F/{file}"), "1");
    }
}

pub(super) fn hierarchy(run: &mut ScenarioRun) {
    run.open_controller("F", "freezer");
    run.mkdir("F/g");
    run.mkdir("F/g/c");
    run.spawn("p");
    run.write("F/g/c/tasks", "{p}");
    for (group, state) in [
        ("F/g", "FROZEN"),
        ("F/g/c", "THAWED"),
        ("F/g/c", "FROZEN"),
        ("F/g", "THAWED"),
        ("F/g/c", "THAWED"),
        ("F", "FROZEN"),
        ("F/g", "FROZEN"),
        ("F", "THAWED"),
        ("F/g", "THAWED"),
    ] {
        run.write(&format!("{group}/freezer.state"), state);
        run.settle();
        for group in ["F", "F/g", "F/g/c"] {
            look(run, group);
        }
        run.state("p");
    }
    run.section("made below a frozen group");
    run.write("F/g/freezer.state", "FROZEN");
    run.mkdir("F/g/d");
    look(run, "F/g/d");
    run.write("F/g/freezer.state", "THAWED");
    run.exit("p");
}

pub(super) fn members(run: &mut ScenarioRun) {
    run.open_controller("F", "freezer");
    run.mkdir("F/g");
    run.mkdir("F/h");
    run.spawn("p");
    run.write("F/g/tasks", "{p}");
    run.state("p");
    run.section("frozen, and deaf to SIGKILL");
    run.write("F/g/freezer.state", "FROZEN");
    run.settle();
    look(run, "F/g");
    run.state("p");
    run.kill("p");
    run.state("p");
    run.write("F/g/freezer.state", "THAWED");
    run.settle();
    run.state("p");
    run.reap("p");
    run.section("into and out of a frozen group");
    run.write("F/g/freezer.state", "FROZEN");
    look(run, "F/g");
    run.spawn("q");
    run.write("F/g/tasks", "{q}");
    run.settle();
    look(run, "F/g");
    run.state("q");
    run.write("F/h/tasks", "{q}");
    run.settle();
    run.state("q");
    look(run, "F/g");
    run.section("from frozen to frozen");
    run.write("F/h/freezer.state", "FROZEN");
    run.settle();
    run.write("F/g/tasks", "{q}");
    run.settle();
    run.state("q");
    look(run, "F/g");
    look(run, "F/h");
    run.section("every thread; a thread alone");
    run.write("F/g/freezer.state", "THAWED");
    run.settle();
    run.thread("q", "t");
    run.write("F/h/tasks", "{t}");
    run.settle();
    run.state("q");
    run.state("t");
    run.write("F/h/freezer.state", "THAWED");
    run.settle();
    run.state("t");
    run.exit("q");
    run.section("a zombie does not hold it up");
    run.spawn("z");
    run.write("F/g/tasks", "{z}");
    run.kill("z");
    run.write("F/g/freezer.state", "FROZEN");
    look(run, "F/g");
    run.reap("z");
    run.section("frozen groups can be removed");
    run.rmdir("F/g");
    run.rmdir("F/h");
}
