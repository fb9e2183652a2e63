//! Control files as files.

use crate::ops::FsOp;
use crate::scenario_run::ScenarioRun;
use nix::fcntl::OFlag;

const GENERIC: [&str; 4] = ["tasks", "cgroup.procs", "cgroup.clone_children", "notify_on_release"];

pub(super) fn stat(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.stat("M");
    run.list("M");
    for name in GENERIC.iter().chain(&["cgroup.sane_behavior", "release_agent"]) {
        run.stat(&format!("M/{name}"));
    }
    run.read_all(
        "M",
        &["cgroup.sane_behavior", "release_agent", "notify_on_release", "cgroup.clone_children"],
    );
    run.section("a child, and the umask");
    run.spawn("p");
    for (mask, mode) in [(0o22, 0o777), (0o77, 0o1777), (0, 0o777)] {
        let _ = run.by("p", FsOp::Umask { mask });
        let _ = run.by("p", FsOp::Mkdir { path: "M/g".into(), mode });
        run.stat("M/g");
        run.stat("M/g/tasks");
        run.rmdir("M/g");
    }
    run.mkdir("M/g");
    run.list("M/g");
    for name in GENERIC {
        run.stat(&format!("M/g/{name}"));
        run.read(&format!("M/g/{name}"));
    }
    run.section("mode and owner");
    let _ = run.fs(FsOp::Chmod { path: "M/g/tasks".into(), mode: 0o600 });
    let _ = run.fs(FsOp::Chown { path: "M/g/tasks".into(), uid: 1, gid: 2 });
    run.stat("M/g/tasks");
    let _ = run.fs(FsOp::Chmod { path: "M/g".into(), mode: 0o700 });
    let _ = run.fs(FsOp::Chown { path: "M/g".into(), uid: 1, gid: 2 });
    run.stat("M/g");
    run.mkdir("M/g/c");
    run.stat("M/g/c");
    run.stat("M/g/c/tasks");
    run.exit("p");
}

pub(super) fn refused(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    for (path, flags) in [
        ("M/new", OFlag::O_WRONLY | OFlag::O_CREAT),
        ("M/new", OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL),
        ("M/new", OFlag::O_RDONLY),
        ("M/tasks", OFlag::O_WRONLY | OFlag::O_CREAT),
        ("M/tasks", OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL),
        ("M/tasks", OFlag::O_RDONLY | OFlag::O_DIRECTORY),
        ("M/tasks", OFlag::O_WRONLY | OFlag::O_TRUNC),
        ("M/tasks", OFlag::O_WRONLY | OFlag::O_APPEND),
    ] {
        run.open("f", path, flags);
    }
    let path = |name: &str| format!("M/{name}");
    for op in [
        FsOp::Unlink { path: path("tasks") },
        FsOp::Unlink { path: path("none") },
        FsOp::Unlink { path: path("g") },
        FsOp::Symlink { path: path("s") },
        FsOp::Symlink { path: path("tasks") },
        FsOp::Link { from: path("tasks"), path: path("t") },
        FsOp::Fifo { path: path("f") },
        FsOp::Truncate { path: path("tasks"), len: 0 },
        FsOp::Truncate { path: path("tasks"), len: 10 },
    ] {
        let _ = run.fs(op);
    }
    run.stat("M/tasks");
    run.list("M");
    run.section("a file without a write handler, by root");
    run.write("M/cgroup.sane_behavior", "1");
    run.write("M/cgroup.sane_behavior", "");
}

pub(super) fn offsets(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    let f = || "f".to_owned();
    run.open("f", "M/g/notify_on_release", OFlag::O_RDWR);
    run.section("each write is a command, wherever");
    let _ = run.fs(FsOp::HandleWriteAt { handle: f(), data: b"1".to_vec(), offset: 100 });
    run.read("M/g/notify_on_release");
    for data in ["0", "1", ""] {
        let _ = run.fs(FsOp::HandleWrite { handle: f(), data: data.into() });
    }
    run.read("M/g/notify_on_release");
    run.section("reads go by offset");
    let _ = run.fs(FsOp::HandleRead { handle: f(), len: 10 });
    for offset in [0, 1] {
        let _ = run.fs(FsOp::HandleSeek { handle: f(), offset });
        for _ in 0..3 {
            let _ = run.fs(FsOp::HandleRead { handle: f(), len: 1 });
        }
    }
    run.section("a write moves the offset; content is made anew at 0");
    for data in ["0", "1"] {
        let _ = run.fs(FsOp::HandleSeek { handle: f(), offset: 0 });
        let _ = run.fs(FsOp::HandleWrite { handle: f(), data: data.into() });
        let _ = run.fs(FsOp::HandleRead { handle: f(), len: 10 });
        let _ = run.fs(FsOp::HandleSeek { handle: f(), offset: 0 });
        let _ = run.fs(FsOp::HandleRead { handle: f(), len: 10 });
    }
    run.section("one direction");
    run.open("r", "M/g/notify_on_release", OFlag::O_RDONLY);
    let _ = run.fs(FsOp::HandleWrite { handle: "r".into(), data: b"1".to_vec() });
    run.open("w", "M/g/notify_on_release", OFlag::O_WRONLY);
    let _ = run.fs(FsOp::HandleRead { handle: "w".into(), len: 1 });
}

/// Texts for a file that takes an unsigned 64-bit number.
pub(super) const NUMBERS: &[&str] = &[
    "0",
    "1",
    "1\n",
    "2",
    "-1",
    "-0",
    "+1",
    " 1",
    "1 ",
    "1\t",
    "1\n\n",
    "\n1",
    "1\r\n",
    "",
    "\n",
    " ",
    "abc",
    "1 0",
    "1.0",
    "0x1",
    "0X1",
    "0x",
    "01",
    "010",
    "08",
    "1\0",
    "1\0x",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
];

pub(super) fn numbers(run: &mut ScenarioRun) {
    run.mount("M", "none,name={u}");
    run.mkdir("M/g");
    let zeros = |length: usize| format!("{}1", "0".repeat(length - 1));
    for file in ["M/g/notify_on_release", "M/g/cgroup.clone_children"] {
        run.write_table(file, "0", NUMBERS);
        run.write_table(file, "0", &[&zeros(65), &zeros(4096), &zeros(4097), &zeros(10_000)]);
    }
    run.section("children inherit both");
    for file in ["notify_on_release", "cgroup.clone_children"] {
        run.write(&format!("M/g/{file}"), "1");
        run.mkdir("M/g/c");
        run.read(&format!("M/g/c/{file}"));
        run.rmdir("M/g/c");
    }
}
