//! mkdir, rename, rmdir, and the remains of a removed directory.

use crate::ops::FsOp;
use crate::scenario_run::ScenarioRun;
use nix::fcntl::OFlag;

pub(super) fn names(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    for name in [
        "g",
        "tasks",
        "cgroup.procs",
        "release_agent",
        "a\nb",
        "\n",
        "cgroup.controllers",
        "cpuset.cpus",
        "a b",
        "a\tb",
        "...",
        "-",
        ".",
        "..",
        "none/child",
        "tasks/child",
    ] {
        run.mkdir(&format!("M/{name}"));
    }
    run.list("M");
    run.section("long names");
    for length in [255, 256, 3000] {
        let path = format!("M/{}", "x".repeat(length));
        run.mkdir(&path);
        run.rmdir(&path);
    }
    run.section("a child has no release_agent, so the name is free");
    run.mkdir("M/g/release_agent");
    run.mkdir("M/g/cgroup.sane_behavior");
    run.list("M/g");
    run.section("links");
    run.stat("M/g");
    run.mkdir("M/g/release_agent/deeper");
    run.stat("M/g");
}

pub(super) fn removed(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/r");
    run.open("tasks", "M/r/tasks", OFlag::O_RDWR);
    run.open("notify", "M/r/notify_on_release", OFlag::O_RDWR);
    run.rmdir("M/r");
    for handle in ["tasks", "notify"] {
        let handle = || handle.to_owned();
        let _ = run.fs(FsOp::HandleRead { handle: handle(), len: 10 });
        let _ = run.fs(FsOp::HandleWrite { handle: handle(), data: b"0".to_vec() });
        let _ = run.fs(FsOp::HandleWrite { handle: handle(), data: vec![] });
        let _ = run.fs(FsOp::HandleSeek { handle: handle(), offset: 0 });
    }
    run.section("a new group of the same name is another group");
    run.mkdir("M/r");
    let _ = run.fs(FsOp::HandleRead { handle: "notify".into(), len: 10 });
    run.section("standing in a removed directory");
    run.spawn("p");
    let _ = run.by("p", FsOp::Chdir { path: "M/r".into() });
    run.rmdir("M/r");
    let _ = run.by("p", FsOp::Mkdir { path: "./x".into(), mode: 0o777 });
    let _ = run.by("p", FsOp::Read { path: "./notify_on_release".into() });
    let _ = run.by("p", FsOp::List { path: "./".into() });
    let _ = run.by("p", FsOp::Chdir { path: "/".into() });
    run.exit("p");
}

pub(super) fn rename(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    for group in ["g", "h", "g/in"] {
        run.mkdir(&format!("M/{group}"));
    }
    for (from, to) in [
        ("g", "k"),
        ("k", "g"),
        ("g", "g"),
        ("g", "h"),
        ("g", "h/g"),
        ("g", "g/in/x"),
        ("g/in", "in"),
        ("g/in", "h/a\nb"),
        ("g", "a\nb"),
        ("g", "tasks"),
        ("none", "x"),
        ("tasks", "t"),
        ("tasks", "tasks"),
        ("tasks", "cgroup.procs"),
        ("tasks", "h/tasks"),
        ("tasks", "a\nb"),
        ("tasks", "g"),
    ] {
        run.rename(&format!("M/{from}"), &format!("M/{to}"));
    }
    run.section("flags");
    for (from, to, flags) in [("g", "k", 1), ("none", "k", 1), ("g", "h", 1), ("g", "h", 2)] {
        let _ = run.fs(FsOp::Rename2 { from: format!("M/{from}"), to: format!("M/{to}"), flags });
    }
    run.section("members go along");
    run.spawn("p");
    run.write("M/g/in/tasks", "{p}");
    run.rename("M/g", "M/k");
    run.proc_cgroup("p");
    run.read("M/k/in/tasks");
    run.list("M/g");
    run.exit("p");
}

pub(super) fn rmdir(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    run.mkdir("M/g/c");
    run.rmdir("M/g");
    run.rmdir("M/g/tasks");
    run.rmdir("M/none");
    run.rmdir("M");
    run.section("a task");
    run.spawn("p");
    run.write("M/g/c/tasks", "{p}");
    run.rmdir("M/g/c");
    run.section("one thread is enough");
    run.spawn("q");
    run.thread("q", "t");
    run.mkdir("M/h");
    run.write("M/h/tasks", "{t}");
    run.rmdir("M/h");
    run.exit("q");
    run.rmdir("M/h");
    run.section("a zombie does not count");
    run.kill("p");
    run.read("M/g/c/tasks");
    run.read("M/g/c/cgroup.procs");
    run.proc_cgroup("p");
    run.rmdir("M/g/c");
    run.rmdir("M/g");
    run.reap("p");
    run.proc_cgroup("p");
}
