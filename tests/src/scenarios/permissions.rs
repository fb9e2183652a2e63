//! The permissions of a user other than root.

use crate::ops::FsOp;
use crate::scenario_run::{ROOT, ScenarioRun};
use nix::fcntl::OFlag;

const ALICE: (u32, u32, u32) = (1000, 1000, 1000);

pub(super) fn membership(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    for file in ["tasks", "cgroup.procs"] {
        let _ = run.fs(FsOp::Chmod { path: format!("M/g/{file}"), mode: 0o666 });
    }
    run.spawn_as("alice", ALICE);
    run.section("the writer's euid against the target's real and saved uid");
    for (number, uids) in [
        (1000, 1000, 1000),
        (1001, 1001, 1001),
        (0, 0, 0),
        (1001, 1001, 1000),
        (1000, 1001, 1001),
        (1001, 1000, 1001),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("target{number}");
        run.spawn_as(&target, uids);
        for file in ["tasks", "cgroup.procs"] {
            run.write_by("alice", &format!("M/g/{file}"), &format!("{{{target}}}"));
        }
        run.exit(&target);
    }
    run.section("oneself");
    run.write_by("alice", "M/g/tasks", "0");
    run.write_by("alice", "M/tasks", "0");
    run.section("order of errors");
    for text in ["abc", "2147483647", "2", "1"] {
        run.write_by("alice", "M/g/tasks", text);
    }
    run.section("who opened counts, not who writes");
    run.spawn("victim");
    run.spawn("w");
    let write = || FsOp::HandleWrite { handle: "f".into(), data: b"{victim}".to_vec() };
    let open = || FsOp::Open { handle: "f".into(), path: "M/g/tasks".into(), flags: OFlag::O_WRONLY.bits() };
    run.set_uids("w", (0, 1000, 0));
    let _ = run.by("w", open());
    run.set_uids("w", ROOT);
    let _ = run.by("w", write());
    let _ = run.by("w", open());
    run.set_uids("w", (0, 1000, 0));
    let _ = run.by("w", write());
    for role in ["alice", "victim", "w"] {
        run.exit(role);
    }
}

pub(super) fn files(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/closed");
    run.mkdir("M/open");
    run.mkdir("M/open/roots");
    let _ = run.fs(FsOp::Chmod { path: "M/open".into(), mode: 0o777 });
    run.spawn_as("alice", ALICE);
    run.section("a directory one may not write");
    let path = |name: &str| format!("M/{name}");
    for op in [
        FsOp::Mkdir { path: path("closed/a"), mode: 0o777 },
        FsOp::Mkdir { path: path("closed"), mode: 0o777 },
        FsOp::Rename { from: path("closed"), to: path("b") },
        FsOp::Rmdir { path: path("closed") },
        FsOp::Unlink { path: path("closed/tasks") },
        FsOp::Symlink { path: path("closed/s") },
        FsOp::Open {
            handle: "f".into(),
            path: path("closed/new"),
            flags: (OFlag::O_CREAT | OFlag::O_WRONLY).bits(),
        },
        FsOp::Write { path: path("closed/tasks"), data: b"0".to_vec() },
        FsOp::Write { path: path("cgroup.sane_behavior"), data: b"0".to_vec() },
        FsOp::Read { path: path("closed/tasks") },
    ] {
        let _ = run.by("alice", op);
    }
    run.section("a directory one may write");
    for op in [
        FsOp::Mkdir { path: path("open/own"), mode: 0o777 },
        FsOp::Unlink { path: path("open/tasks") },
        FsOp::Symlink { path: path("open/s") },
        FsOp::Link { from: path("open/tasks"), path: path("open/t") },
        FsOp::Open {
            handle: "f".into(),
            path: path("open/new"),
            flags: (OFlag::O_CREAT | OFlag::O_WRONLY).bits(),
        },
        FsOp::Write { path: path("open/tasks"), data: b"0".to_vec() },
        FsOp::Rmdir { path: path("open/roots") },
    ] {
        let _ = run.by("alice", op);
    }
    run.section("what one made is one's own");
    run.stat("M/open/own");
    run.stat("M/open/own/tasks");
    run.write_by("alice", "M/open/own/tasks", "0");
    run.proc_cgroup("alice");
    let _ = run.by("alice", FsOp::Chmod { path: path("open/own/tasks"), mode: 0o666 });
    let _ = run.by("alice", FsOp::Chown { path: path("open/own/tasks"), uid: 0, gid: 0 });
    run.section("the release agent is root's, whatever the mode");
    let _ = run.fs(FsOp::Chmod { path: path("release_agent"), mode: 0o666 });
    run.write_by("alice", "M/release_agent", "/x");
    run.exit("alice");
}
