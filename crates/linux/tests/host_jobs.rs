//! Many jobs under one tracer: each with its own cgroup, status and end.

mod common;
mod contained;
mod hosted;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use common::shell;
use hosted::TestHost;
use nix::unistd::pipe;
use penfold_linux::trace::{
    self, AtEnd, Command, CommandSession, ExecError, ExecOptions, ResourceLimit, StartError, TRACER_NAME,
    User,
};
use penfold_testkit::{
    TempFile, is_root,
    proc::{lives, status},
    skip, wait_until,
};

const PYTHON: &str = "/usr/bin/python3";

/// Forks until it is refused, and exits with the number of children that it got.
const FILL: &str = "
import os, sys, time
made = 0
while made < 50:
    try:
        if os.fork() == 0:
            time.sleep(100); os._exit(0)
        made += 1
    except BlockingIOError: break
print(made, flush=True)
sys.stdin.read(1)
os._exit(made)";

#[test]
fn three_jobs_keep_three_limits() {
    let hosted = TestHost::start();
    let mut jobs = Vec::new();
    for (name, limit) in [("a", 3), ("b", 5), ("c", 9)] {
        let cgroup = hosted.cgroup(name);
        hosted.write(cgroup, "pids.max", limit);
        let (input, say) = pipe().expect("a pipe");
        let (hear, output) = pipe().expect("a pipe");
        let mut command = Command::new([PYTHON, "-c", FILL]);
        command.stdio = [Some(Arc::new(input)), Some(Arc::new(output)), None];
        command.only_stdio = true;
        let running = hosted.host.exec(command, [cgroup], ExecOptions::default()).expect("it starts");
        jobs.push((cgroup, limit, say, std::fs::File::from(hear), running));
    }
    for (cgroup, limit, _, hear, running) in &mut jobs {
        let mut made = [0];
        hear.read_exact(&mut made).expect("it says how many it made");
        assert_eq!(u32::from(made[0] - b'0'), *limit - 1, "one less than its limit, itself being one");
        let tasks = hosted.tasks(*cgroup);
        assert_eq!(tasks.len() as u32, *limit);
        assert!(tasks.contains(&running.pid().0));
        assert_eq!(hosted.read(*cgroup, "pids.current"), limit.to_string());
    }
    // only the middle job ends; its output stays open (`_hear`): an unbuffered one is written in two parts
    let (cgroup, limit, say, _hear, running) = jobs.remove(1);
    let members = hosted.tasks(cgroup);
    drop(say);
    assert_eq!(libc::WEXITSTATUS(running.wait().expect("it ran")), limit as i32 - 1);
    assert_eq!(hosted.read(cgroup, "pids.current"), "0", "wait means that all is over");
    assert!(!members.iter().any(|pid| lives(*pid)));
    for (cgroup, limit, ..) in &jobs {
        assert_eq!(hosted.tasks(*cgroup).len() as u32, *limit);
    }
    for (_, limit, say, _hear, running) in jobs {
        drop(say);
        assert_eq!(libc::WEXITSTATUS(running.wait().expect("it ran")), limit as i32 - 1);
    }
}

#[test]
fn job_may_leave_processes_running() {
    let hosted = TestHost::start();
    let (kept, gone) = (hosted.cgroup("kept"), hosted.cgroup("gone"));
    let scratch = TempFile::new();
    let script = format!("sleep 100 & echo $! >> {}", scratch.path().display());
    let leave = ExecOptions { leave_running: true, ..ExecOptions::default() };
    let status_of = |running: trace::TracedCommand| running.wait().expect("it ran");
    assert_eq!(status_of(hosted.exec(kept, &shell(&script), leave)), 0);
    assert_eq!(status_of(hosted.exec(gone, &shell(&script), ExecOptions::default())), 0);
    let pids: Vec<i32> = scratch.text().lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(hosted.tasks(kept), [pids[0]]);
    assert!(hosted.tasks(gone).is_empty());
    assert!(lives(pids[0]) && !lives(pids[1]));
    // the processes that were left keep their rules, and another job's end does not end them
    hosted.write(kept, "pids.max", 2);
    assert_eq!(status_of(hosted.exec(kept, &["true"], ExecOptions::default())), 0);
    assert_eq!(hosted.tasks(kept), [pids[0]]);
    hosted.host.stop(AtEnd::Kill).expect("not stopped before");
    assert!(!lives(pids[0]), "launched here, so killed in the end");
}

#[test]
fn bomb_of_one_job_ends_with_it() {
    let hosted = TestHost::start();
    let (bomb, calm) = (hosted.cgroup("bomb"), hosted.cgroup("calm"));
    hosted.write(bomb, "pids.max", 40);
    let still = hosted.exec(calm, &["sleep", "100"], ExecOptions::default());
    let script = "f() { f | f & f | f & }; (f) 2>/dev/null & sleep 0.5; exit 7";
    for _ in 0..3 {
        let running = hosted.exec(bomb, &shell(script), ExecOptions::default());
        assert_eq!(libc::WEXITSTATUS(running.wait().expect("it ran")), 7);
        assert_eq!(hosted.read(bomb, "pids.current"), "0");
        assert_eq!(hosted.read(bomb, "tasks"), "");
    }
    assert_eq!(hosted.tasks(calm), [still.pid().0]);
    still.kill(libc::SIGTERM).expect("it lives");
    assert_eq!(still.wait().expect("it ran"), libc::SIGTERM);
}

#[test]
fn command_that_cannot_run_harms_no_other() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("job");
    let missing = hosted.exec(cgroup, &["/nonexistent/program"], ExecOptions::default());
    let error = missing.wait().expect_err("there is no such program");
    assert!(
        matches!(error, ExecError::Start(StartError::Exec { errno: nix::errno::Errno::ENOENT, .. })),
        "{error}"
    );
    hosted
        .host
        .control()
        .with_exact(move |engine, host| engine.session(host, &contained::owner()).rmdir(cgroup))
        .unwrap()
        .unwrap();
    let error = hosted.host.exec(Command::new(["true"]), [cgroup], ExecOptions::default());
    assert!(matches!(error, Err(ExecError::Attach(_))), "{error:?}");
    assert_eq!(hosted.read(hosted.root, "tasks"), "");
    assert_eq!(hosted.exec(hosted.root, &["true"], ExecOptions::default()).wait().expect("it runs"), 0);
}

#[test]
fn command_runs_as_another_user_in_a_session_of_its_own() {
    if !is_root() {
        return skip("only root can run a command as another user");
    }
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("job");
    hosted.write(cgroup, "pids.max", 3);
    let (hear, output) = pipe().expect("a pipe");
    let script =
        "grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp):' /proc/self/status; pwd; echo $NAME; (:) && (:)
        [ $(ps -o sid= -p $$) = $$ ] && echo leads; ls /proc/self/fd | wc -l";
    let mut command = Command::new(["sh", "-c", script]);
    command.user = Some(User { uid: 12345, gid: 12346, groups: vec![7, 12347] });
    command.environment =
        Some(vec![("NAME".into(), "value".into()), ("PATH".into(), "/usr/bin:/bin".into())]);
    command.directory = Some("/usr".into());
    command.stdio[1] = Some(Arc::new(output));
    command.only_stdio = true;
    command.session = CommandSession::New;
    let running = hosted.host.exec(command, [cgroup], ExecOptions::default()).expect("it starts");
    assert_eq!(running.wait().expect("it ran"), 0);
    let mut said = String::new();
    std::fs::File::from(hear).read_to_string(&mut said).expect("it ends");
    let said: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "Uid: 12345 12345 12345 12345",
        "Gid: 12346 12346 12346 12346",
        "Groups: 7 12347",
        "NoNewPrivs: 0",
        "Seccomp: 2",
        "/usr",
        "value",
        "leads",
        "4",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_command_has_a_terminal_of_its_own() {
    let hosted = TestHost::start();
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let slave = Arc::new(pty.slave);
    let script = "[ $(ps -o sid= -p $$) = $$ ] && echo leads; [ -t 0 ] && tty; echo there > /dev/tty
        trap 'echo interrupted; exit 9' INT; echo ready; sleep 100 & wait";
    let mut command = Command::new(["sh", "-c", script]);
    command.stdio = [Some(Arc::clone(&slave)), Some(Arc::clone(&slave)), Some(slave)];
    command.only_stdio = true;
    command.session = CommandSession::Terminal;
    let running = hosted.host.exec(command, [hosted.root], ExecOptions::default()).expect("it starts");
    let mut master = std::fs::File::from(pty.master);
    let mut said = String::new();
    let mut read_until = |end: &str, master: &mut std::fs::File| {
        let mut bytes = [0; 256];
        while !said.contains(end) {
            let count = master.read(&mut bytes).expect("it says more");
            said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        said.clone()
    };
    let lines = read_until("ready", &mut master);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "leads");
    assert!(lines[1].starts_with("/dev/pts/"), "{lines:?}");
    assert_eq!(lines[2..4], ["there", "ready"]);
    std::io::Write::write_all(&mut master, b"\x03").expect("it listens");
    read_until("interrupted", &mut master);
    assert_eq!(libc::WEXITSTATUS(running.wait().expect("it ran")), 9);

    let mut command = Command::new(["true"]);
    command.stdio[0] = Some(Arc::new(std::fs::File::open("/dev/null").expect("it is there").into()));
    command.session = CommandSession::Terminal;
    let error = hosted.host.exec(command, [hosted.root], ExecOptions::default()).expect("it starts").wait();
    assert!(
        matches!(error, Err(ExecError::Start(StartError::Session(nix::errno::Errno::ENOTTY)))),
        "{error:?}"
    );
}

#[test]
fn a_command_has_the_limits_that_it_is_given() {
    let hosted = TestHost::start();
    let (hear, output) = pipe().expect("a pipe");
    let mut command = Command::new(["bash", "-c", "umask; ulimit -Sn; ulimit -Hn; ulimit -c; nice"]);
    command.stdio[1] = Some(Arc::new(output));
    command.umask = Some(0o27);
    let limit = |resource: u32, soft, hard| ResourceLimit { resource, soft, hard };
    command.limits = vec![limit(libc::RLIMIT_NOFILE, 77, 99), limit(libc::RLIMIT_CORE, 0, 0)];
    command.nice = Some(5);
    let running = hosted.host.exec(command, [hosted.root], ExecOptions::default()).expect("it starts");
    assert_eq!(running.wait().expect("it ran"), 0);
    let mut said = String::new();
    std::fs::File::from(hear).read_to_string(&mut said).expect("it ends");
    assert_eq!(said, "0027\n77\n99\n0\n5\n");

    let mut command = Command::new(["true"]);
    command.limits = vec![limit(libc::RLIMIT_NOFILE, 2, 1)];
    let error = hosted.host.exec(command, [hosted.root], ExecOptions::default()).expect("it starts").wait();
    assert!(
        matches!(error, Err(ExecError::Start(StartError::Limits(nix::errno::Errno::EINVAL)))),
        "{error:?}"
    );
}

/// The voluntary and involuntary context switches and the CPU ticks of the tracer thread of this process.
fn tracer_activity() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("our threads").flatten();
    let mut activity: Vec<String> = tasks
        .filter(|task| {
            let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            comm.trim() == TRACER_NAME
        })
        .map(|task| std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default())
        .collect();
    activity.sort();
    activity
}

fn an_idle_host_uses_no_cpu() {
    let hosted = TestHost::start();
    // soon: on a busy machine earlier work may take its time
    let idle = |what| {
        wait_until(what, || {
            let before = tracer_activity();
            assert_eq!(before.len(), 1, "this test runs alone in its process");
            std::thread::sleep(Duration::from_millis(400));
            // time on a CPU, time spent waiting for one, and the number of slices
            tracer_activity() == before
        });
    };
    idle("idle before the first job");
    let cgroup = hosted.cgroup("job");
    assert_eq!(hosted.exec(cgroup, &["true"], ExecOptions::default()).wait().expect("it runs"), 0);
    idle("idle between jobs");
    let sleeps = hosted.exec(cgroup, &["sleep", "100"], ExecOptions::default());
    wait_until("it sleeps", || status(sleeps.pid().0, "State").is_some_and(|state| state.starts_with('S')));
    idle("idle with a job that sleeps");
    assert_eq!(hosted.tasks(cgroup), [sleeps.pid().0]);
}

#[test]
fn idle() {
    const ALONE: &str = "PENFOLD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return an_idle_host_uses_no_cpu();
    }
    let mut alone = std::process::Command::new(std::env::current_exe().expect("our own path"));
    assert!(
        alone.args(["--exact", "idle", "--nocapture"]).env(ALONE, "1").status().expect("it runs").success()
    );
}
