//! Adoption of processes that run already, and their detaching.

mod common;
mod contained;
mod hosted;

use penfold_core::Tid;
use std::collections::HashSet;

use hosted::TestHost;
use nix::sys::signal::Signal;
use penfold_linux::trace::{AdoptError, AtEnd, DetachError, ExecOptions};
use penfold_testkit::{
    CProgram, OutsideProcess, TempDir, copy_program, is_root,
    proc::{self, lives, run_time, status},
    skip, wait_until,
};

const PYTHON: &str = "/usr/bin/python3";

/// Three threads that work, and a child for each USR1.
const WORKER: &str = "
import os, signal, sys, threading, time
def work():
    while True:
        sum(range(1000)); time.sleep(0.001)
for _ in range(3): threading.Thread(target=work, daemon=True).start()
def fork(*_):
    pid = os.fork()
    if pid == 0: time.sleep(100); os._exit(0)
    print(pid, flush=True)
signal.signal(signal.SIGUSR1, fork)
signal.alarm(60)
print('ready', flush=True)
while True: time.sleep(0.01)";

/// The threads of a process that lives.
fn threads(pid: i32) -> Vec<i32> {
    let threads = proc::threads(pid);
    assert!(!threads.is_empty(), "process {pid} is gone");
    threads
}

fn sorted(mut tasks: Vec<i32>) -> Vec<i32> {
    tasks.sort_unstable();
    tasks
}

fn worker() -> OutsideProcess {
    let mut worker = OutsideProcess::orphan(&[PYTHON, "-c", WORKER]);
    assert_eq!(worker.line(), "ready");
    worker
}

/// Whether no task of the process is traced or stopped.
fn is_free(pid: i32) -> bool {
    threads(pid).into_iter().all(|tid| {
        status(tid, "TracerPid").as_deref() == Some("0")
            && status(tid, "State").is_some_and(|state| state.starts_with(['S', 'R', 'D']))
    })
}

#[test]
fn running_process_is_adopted_moved_frozen_and_detached() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("adopted");
    let mut worker = worker();
    hosted.host.adopt(Tid(worker.pid())).expect("it can be traced");
    let members = sorted(threads(worker.pid()));
    assert_eq!(members.len(), 4);
    assert_eq!(sorted(hosted.tasks(hosted.root)), members);
    hosted.write(cgroup, "cgroup.procs", worker.pid());
    assert_eq!(sorted(hosted.tasks(cgroup)), members);
    assert_eq!(hosted.read(cgroup, "pids.current"), "4");

    // its time before is charged to no cgroup, its time from now on is
    let usage = || hosted.read(cgroup, "cpuacct.usage").parse::<u64>().expect("a number");
    let used = usage();
    wait_until("its time is counted", || usage() > used);

    worker.signal(Signal::SIGUSR1 as i32);
    let child: i32 = worker.line().parse().expect("a number");
    assert!(hosted.tasks(cgroup).contains(&child), "a later child is a member");

    hosted.write(cgroup, "freezer.state", "FROZEN");
    wait_until("all are frozen", || hosted.read(cgroup, "freezer.state") == "FROZEN");
    // soon: a task that has reported its stop may still be on its way off the CPU
    wait_until("nobody uses a CPU", || {
        let used = || members.iter().map(|tid| run_time(*tid)).collect::<Vec<_>>();
        let before = used();
        std::thread::sleep(std::time::Duration::from_millis(50));
        used() == before
    });
    hosted.write(cgroup, "freezer.state", "THAWED");
    worker.signal(Signal::SIGUSR1 as i32);
    let other: i32 = worker.line().parse().expect("a number");
    assert!(hosted.tasks(cgroup).contains(&other));

    hosted.host.detach(Tid(worker.pid())).expect("nothing keeps it");
    assert!(is_free(worker.pid()));
    assert_eq!(sorted(hosted.tasks(cgroup)), sorted(vec![child, other]), "the children stay");
    worker.signal(Signal::SIGUSR1 as i32);
    let third: i32 = worker.line().parse().expect("it can fork");
    assert!(!hosted.tasks(cgroup).contains(&third));
    assert_eq!(hosted.host.detach(Tid(worker.pid())), Err(DetachError::Unknown(Tid(worker.pid()))));
    hosted.host.adopt(Tid(worker.pid())).expect("it can be adopted again");
    assert_eq!(hosted.host.adopt(Tid(worker.pid())), Err(AdoptError::Known(Tid(worker.pid()))));
}

#[test]
fn stopping_leaves_adopted_processes_running_untraced() {
    for (state, end) in [("THAWED", AtEnd::Kill), ("FROZEN", AtEnd::Kill), ("FROZEN", AtEnd::Leave)] {
        let hosted = TestHost::start();
        let cgroup = hosted.cgroup("adopted");
        let mut worker = worker();
        hosted.host.adopt(Tid(worker.pid())).expect("it can be traced");
        hosted.write(cgroup, "cgroup.procs", worker.pid());
        worker.signal(Signal::SIGUSR1 as i32);
        let child: i32 = worker.line().parse().expect("a number");
        let launched = hosted.exec(cgroup, &["sleep", "100"], ExecOptions::default());
        let pid = launched.pid();
        hosted.write(cgroup, "freezer.state", state);
        if state == "FROZEN" {
            wait_until("all are frozen", || hosted.read(cgroup, "freezer.state") == "FROZEN");
            assert!(!is_free(worker.pid()));
        }
        hosted.host.stop(end).expect("not stopped before");
        assert!(is_free(worker.pid()) && is_free(child), "{state} {end:?}");
        assert_eq!(lives(pid.0), end == AtEnd::Leave);
        worker.signal(Signal::SIGUSR1 as i32);
        assert!(lives(worker.line().parse().expect("it works and can fork")));
        if end == AtEnd::Leave {
            assert!(is_free(pid.0));
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.0), Signal::SIGKILL).expect("it lives");
        }
    }
}

#[test]
fn process_that_job_control_has_stopped_stays_stopped() {
    let hosted = TestHost::start();
    let mut worker = worker();
    let stopped = |pid| status(pid, "State").is_some_and(|state| state.starts_with(['T', 't']));
    worker.signal(Signal::SIGSTOP as i32);
    wait_until("it is stopped", || stopped(worker.pid()));
    hosted.host.adopt(Tid(worker.pid())).expect("it can be traced");
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(threads(worker.pid()).into_iter().all(stopped), "adoption wakes nobody");
    worker.signal(Signal::SIGCONT as i32);
    worker.signal(Signal::SIGUSR1 as i32);
    let child: i32 = worker.line().parse().expect("it goes on");
    assert!(hosted.tasks(hosted.root).contains(&child));
    worker.signal(Signal::SIGSTOP as i32);
    wait_until("it is stopped", || stopped(worker.pid()));
    hosted.host.stop(AtEnd::Kill).expect("not stopped before");
    assert_eq!(status(worker.pid(), "TracerPid").as_deref(), Some("0"));
    // the kernel wakes it to put it from the one stop into the other
    wait_until("nor does its end", || threads(worker.pid()).into_iter().all(stopped));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(threads(worker.pid()).into_iter().all(stopped), "and it stays so");
    worker.signal(Signal::SIGCONT as i32);
    worker.signal(Signal::SIGUSR1 as i32);
    assert!(lives(worker.line().parse().expect("it goes on")));
}

#[test]
fn adoption_is_refused_with_the_reason() {
    let hosted = TestHost::start();
    let adopt = |pid| hosted.host.adopt(pid).expect_err("it can't be adopted");
    assert_eq!(adopt(Tid(std::process::id() as i32)), AdoptError::Itself);
    assert_eq!(adopt(Tid(4_194_303)), AdoptError::NoProcess(Tid(4_194_303)));
    assert_eq!(adopt(Tid(0)), AdoptError::NoProcess(Tid(0)));
    assert_eq!(adopt(Tid(-1)), AdoptError::NoProcess(Tid(-1)));
    let kernel = status(2, "Name").is_some_and(|name| name == "kthreadd");
    assert_eq!(
        adopt(if kernel { Tid(2) } else { Tid(0) }),
        if kernel { AdoptError::KernelThread(Tid(2)) } else { AdoptError::NoProcess(Tid(0)) }
    );

    let worker = worker();
    let other = TestHost::start();
    other.host.adopt(Tid(worker.pid())).expect("nobody has it");
    let error = adopt(Tid(worker.pid()));
    assert!(matches!(&error, AdoptError::Traced { tracer, .. } if tracer == "penfold-tracer"), "{error}");
    assert_eq!(error.errno(), nix::errno::Errno::EPERM);
    assert_eq!(hosted.read(hosted.root, "tasks"), "");
    other.host.detach(Tid(worker.pid())).expect("nothing keeps it");
    assert_eq!(hosted.host.adopt(Tid(worker.pid())), Ok(()));

    let mine = hosted.exec(hosted.root, &["sleep", "100"], ExecOptions::default());
    assert_eq!(adopt(mine.pid()), AdoptError::Known(mine.pid()));
    assert_eq!(hosted.host.detach(mine.pid()), Err(DetachError::Filtered(mine.pid())));
    hosted.host.stop(AtEnd::Kill).expect("not stopped before");
    assert_eq!(adopt(Tid(worker.pid())), AdoptError::Gone);
}

/// Whether a process lives untraced, by one read: the zombie of a traced task is untraced when its tracer has reaped
/// it.
fn is_untraced(pid: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let has = |line: &str| text.lines().any(|other| other.starts_with(line));
    has("TracerPid:\t0") && !has("State:\tZ") && !has("State:\tX")
}

/// The start time in clock ticks since boot.
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split_whitespace().nth(19)?.parse().ok()
}

fn now() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("the time");
    let seconds: f64 = uptime.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number");
    (seconds * 100.0) as u64
}

#[test]
fn threads_that_fork_during_adoption_lose_no_child() {
    // Each thread forks without a pause; a child lives on and tells its number. All are killed with the session.
    let program = CProgram::compile(
        r#"
        static void *storm(void *none) {
            for (;;) {
                pid_t pid = fork();
                if (pid == 0) { usleep(200000); _exit(0); }
                usleep(300);
            }
        }
        static void *reaper(void *none) { for (;;) if (wait(0) < 0) usleep(100); }
        int main(void) {
            pthread_t made;
            for (int i = 0; i < 6; i++) pthread_create(&made, 0, storm, 0);
            pthread_create(&made, 0, reaper, 0);
            alarm(60); puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    for _ in 0..5 {
        let hosted = TestHost::start();
        let mut outside = OutsideProcess::orphan(&[program.path()]);
        assert_eq!(outside.line(), "ready");
        std::thread::sleep(std::time::Duration::from_millis(20));
        let began = std::time::Instant::now();
        hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
        let (took, returned) = (began.elapsed(), now());
        assert!(hosted.tasks(hosted.root).len() >= 8, "its threads");
        let untraced = || -> Vec<i32> {
            let mut pids = proc::children(outside.pid());
            pids.retain(|pid| is_untraced(*pid));
            pids
        };
        // the list can leave a child out while another one is reaped
        let older: HashSet<i32> = (0..5).flat_map(|_| untraced()).collect();
        let born = |pid: &i32| start_time(*pid).is_some_and(|time| time > returned);
        let late: Vec<i32> = older.iter().copied().filter(born).collect();
        assert_eq!(late, [] as [i32; 0], "born since the adoption, which took {took:?}");
        for _ in 0..40 {
            let mut pids = untraced();
            pids.retain(|pid| !older.contains(pid));
            assert_eq!(
                pids,
                [] as [i32; 0],
                "born of a fork that the adoption, which took {took:?}, has missed"
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        wait_until("the old ones have ended", || untraced().is_empty());
        eprintln!("took {took:?}, {} older", older.len());
    }
}

fn refuse_a_process_of_root() {
    let hosted = TestHost::start();
    // the process that has started this one
    let pid = nix::unistd::getppid().as_raw();
    let error = hosted.host.adopt(Tid(pid)).expect_err("it is root's");
    assert_eq!(error.errno(), nix::errno::Errno::EPERM);
    assert!(error.to_string().contains("it belongs to another user"), "{error}");
    assert_eq!(status(pid, "TracerPid").as_deref(), Some("0"));
}

#[test]
fn adoption_of_a_process_of_root_is_refused() {
    const ALONE: &str = "PENFOLD_TEST_NOBODY";
    if std::env::var_os(ALONE).is_some() {
        return refuse_a_process_of_root();
    }
    if !is_root() {
        return skip("only root can become another user");
    }
    // where everybody may execute it
    let directory = TempDir::new();
    let copy = directory.join("tests");
    copy_program(&std::env::current_exe().expect("our own path"), &copy);
    let mut alone = std::process::Command::new(&copy);
    std::os::unix::process::CommandExt::uid(&mut alone, 65534);
    std::os::unix::process::CommandExt::gid(&mut alone, 65534);
    alone.current_dir("/").env(ALONE, "1").args([
        "--exact",
        "adoption_of_a_process_of_root_is_refused",
        "--nocapture",
    ]);
    let output = alone.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
