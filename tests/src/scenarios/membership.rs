//! `tasks` and `cgroup.procs`.

use crate::ops::FsOp;
use crate::scenario_run::ScenarioRun;
use nix::fcntl::OFlag;

pub(super) fn writes(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    run.spawn("p");
    run.spawn("gone");
    run.exit("gone");
    let zeros = |length: usize| "0".repeat(length);
    for file in ["tasks", "cgroup.procs"] {
        run.section(file);
        let path = format!("M/g/{file}");
        for text in [
            "0",
            "0\n",
            " 0",
            "+0",
            "-0",
            "00",
            "{p}",
            "{p}\n",
            " {p}",
            "{p} ",
            " {p} \n\t",
            "{p}\n\n",
            "{p:x}",
            "{p:o}",
            "+{p}",
            "{p}\0",
            "{p}\0x",
            "\0",
            "{p} 1",
            "{p},1",
            "{p}x",
            "abc",
            "-1",
            "",
            "\n",
            " ",
            "12 13",
            "1.5",
            "2147483647",
            "2147483648",
            "4294967296",
            "4294967297",
            "99999999999999999999",
            "{gone}",
            "2",
        ] {
            move_and_back(run, &path, text);
        }
        move_and_back(run, &path, &zeros(64));
        move_and_back(run, &path, &zeros(4096));
        move_and_back(run, &path, &zeros(4097));
        move_and_back(run, &path, &"1".repeat(64));
    }
    run.section("a zombie is no error and does not move");
    run.spawn("z");
    run.kill("z");
    run.write("M/g/tasks", "{z}");
    run.write("M/g/cgroup.procs", "{z}");
    run.proc_cgroup("z");
    run.reap("z");
    run.section("again, and to the root");
    run.write("M/g/tasks", "{p}");
    run.write("M/g/tasks", "{p}");
    run.read("M/g/tasks");
    run.write("M/tasks", "{p}");
    run.read("M/g/tasks");
    run.exit("p");
}

/// The member writes `text`, then is brought back to the root.
fn move_and_back(run: &mut ScenarioRun, path: &str, text: &str) {
    run.write_by("p", path, text);
    if text.contains('0') || text.contains("{p") {
        run.read(path);
        run.write("M/cgroup.procs", "{p}");
    }
}

pub(super) fn threads(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    run.mkdir("M/h");
    run.spawn("p");
    for thread in ["t1", "t2", "t3"] {
        run.thread("p", thread);
    }
    let look = |run: &mut ScenarioRun| {
        for group in ["g", "h"] {
            run.read(&format!("M/{group}/tasks"));
            run.read(&format!("M/{group}/cgroup.procs"));
        }
    };
    for (file, who) in [
        ("g/tasks", "t1"),
        ("g/tasks", "t2"),
        ("h/cgroup.procs", "t3"),
        ("g/tasks", "t1"),
        ("h/tasks", "p"),
        ("g/tasks", "p"),
        ("g/cgroup.procs", "p"),
        ("h/cgroup.procs", "t1"),
    ] {
        run.write(&format!("M/{file}"), &format!("{{{who}}}"));
        look(run);
    }
    run.section("0 moves the writing thread, or its whole process");
    run.write_by("p", "M/g/tasks", "0");
    look(run);
    run.write_by("p", "M/g/cgroup.procs", "0");
    look(run);
    run.section("children and new threads are born where their maker is");
    run.fork("p", "child");
    run.thread("p", "t4");
    look(run);
    run.section("moving the parent leaves the child");
    run.write("M/h/cgroup.procs", "{p}");
    look(run);
    for role in ["p", "t1", "child"] {
        run.proc_cgroup(role);
    }
    run.exit("child");
    run.exit("p");
    look(run);
}

pub(super) fn lists(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    run.read("M/g/tasks");
    for role in ["a", "b", "c"] {
        run.spawn(role);
    }
    run.section("ascending, whatever the order of arrival");
    for role in ["b", "c", "a"] {
        run.write("M/g/tasks", &format!("{{{role}}}"));
    }
    run.read("M/g/tasks");
    run.read("M/g/cgroup.procs");
    run.section("an open that comes later sees what is new");
    run.open("early", "M/g/tasks", OFlag::O_RDONLY);
    run.exit("b");
    run.read("M/g/tasks");
    let _ = run.fs(FsOp::Close { handle: "early".into() });
    for role in ["a", "c"] {
        run.exit(role);
    }
    run.read("M/g/tasks");
}
