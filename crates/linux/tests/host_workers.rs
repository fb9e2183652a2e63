//! Threads that never run their program, as the io workers of the kernel. Leaders that have ended before their threads.
//! Both are members as in the kernel, of launched and of adopted processes.

mod common;
mod contained;
mod hosted;

use hosted::{IO_WORKER, TestHost};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_core::{CgroupId, Tid};
use penfold_linux::trace::{ExecOptions, TracedCommand};
use penfold_testkit::{
    CProgram, OutsideProcess,
    proc::{status, threads},
    skip_even_in_ci, wait_until,
};

/// Whether the program of `IO_WORKER` gets a ring here.
fn has_rings(program: &CProgram) -> bool {
    let mut probe = OutsideProcess::orphan(&[program.path()]);
    let has = probe.line() != "none";
    probe.signal(Signal::SIGKILL as i32);
    has
}

fn sorted_threads(pid: i32) -> Vec<i32> {
    let mut all = threads(pid);
    all.sort_unstable();
    all
}

fn is_worker(pid: i32, tid: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).unwrap_or_default();
    name.starts_with("iou-")
}

fn workers(pid: i32) -> Vec<i32> {
    sorted_threads(pid).into_iter().filter(|tid| is_worker(pid, *tid)).collect()
}

fn wait_for_all(hosted: &TestHost, cgroup: CgroupId, pid: i32) {
    // the kernel makes more of them and ends them as it likes
    wait_until("all threads are members", || {
        let all = sorted_threads(pid);
        !workers(pid).is_empty()
            && hosted.tasks(cgroup) == all
            && hosted.read(cgroup, "pids.current") == all.len().to_string()
    });
}

/// Freezes, thaws, limits and pins a process with workers, moves it and one of its workers, and kills it.
fn use_with_workers(hosted: &TestHost, cgroup: CgroupId, alone: CgroupId, pid: i32) {
    wait_for_all(hosted, cgroup, pid);
    hosted.write(cgroup, "pids.max", 10);
    hosted.write(cgroup, "freezer.state", "FROZEN");
    wait_until("it is frozen", || hosted.read(cgroup, "freezer.state") == "FROZEN");
    hosted.write(cgroup, "freezer.state", "THAWED");
    wait_until("it has the filter", || status(pid, "Seccomp").as_deref() == Some("2"));
    hosted.write(cgroup, "cpuset.cpus", 0);
    wait_for_all(hosted, cgroup, pid);
    for tid in workers(pid) {
        assert_eq!(status(tid, "Cpus_allowed_list").as_deref(), Some("0"), "{tid}");
    }
    let worker = workers(pid)[0];
    hosted.write(alone, "tasks", worker);
    assert_eq!(hosted.tasks(alone), [worker]);
    assert_eq!(hosted.read(alone, "cgroup.procs"), pid.to_string());
    assert_eq!(hosted.read(alone, "pids.current"), "1");
    assert!(!hosted.tasks(cgroup).contains(&worker) && hosted.tasks(cgroup).contains(&pid));
    hosted.write(alone, "freezer.state", "FROZEN");
    assert_eq!(hosted.read(alone, "freezer.state"), "FROZEN");
    hosted.write(alone, "freezer.state", "THAWED");
    hosted.write(cgroup, "cgroup.procs", pid);
    assert_eq!(hosted.tasks(alone), []);
    wait_for_all(hosted, cgroup, pid);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    wait_until("all tasks are gone", || hosted.read(cgroup, "pids.current") == "0");
    assert_eq!((hosted.tasks(cgroup), hosted.tasks(alone)), (vec![], vec![]));
}

fn launch(hosted: &TestHost, cgroup: CgroupId, arguments: &[&str]) -> TracedCommand {
    hosted.exec(cgroup, arguments, ExecOptions::default())
}

#[test]
fn workers_of_a_launched_process_are_members() {
    let program = CProgram::compile(IO_WORKER);
    if !has_rings(&program) {
        return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
    }
    for arguments in [&[][..], &["poll"][..]] {
        let hosted = TestHost::start();
        let (cgroup, alone) = (hosted.cgroup("ring"), hosted.cgroup("alone"));
        let command = launch(&hosted, cgroup, &[&[program.path()], arguments].concat());
        use_with_workers(&hosted, cgroup, alone, command.pid().0);
        assert_eq!(command.wait().expect("it ran"), Signal::SIGKILL as i32);
    }
}

#[test]
fn workers_of_an_adopted_process_are_members() {
    let program = CProgram::compile(IO_WORKER);
    for arguments in [&[][..], &["poll"][..]] {
        let mut ring = OutsideProcess::orphan(&[&[program.path()], arguments].concat());
        if ring.line() == "none" {
            return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
        }
        wait_until("a worker is there", || !workers(ring.pid()).is_empty());
        let hosted = TestHost::start();
        let (cgroup, alone) = (hosted.cgroup("ring"), hosted.cgroup("alone"));
        hosted.host.adopt(Tid(ring.pid())).expect("it can be traced");
        hosted.write(cgroup, "cgroup.procs", ring.pid());
        use_with_workers(&hosted, cgroup, alone, ring.pid());
    }
}

#[test]
fn worker_is_not_traced_and_its_request_goes_on() {
    let program = CProgram::compile(IO_WORKER);
    let mut ring = OutsideProcess::orphan(&[program.path(), "poll"]);
    if ring.line() == "none" {
        return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
    }
    wait_until("a worker is there", || !workers(ring.pid()).is_empty());
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("ring");
    hosted.host.adopt(Tid(ring.pid())).expect("it can be traced");
    hosted.write(cgroup, "cgroup.procs", ring.pid());
    wait_for_all(&hosted, cgroup, ring.pid());
    for tid in workers(ring.pid()) {
        assert_eq!(status(tid, "TracerPid").as_deref(), Some("0"), "{tid}");
    }
    hosted.host.detach(Tid(ring.pid())).expect("nothing keeps it");
    assert_eq!(hosted.tasks(cgroup), []);
    assert_eq!(status(ring.pid(), "TracerPid").as_deref(), Some("0"));
    hosted.host.adopt(Tid(ring.pid())).expect("it can be adopted again");
}

#[test]
fn workers_are_gone_after_an_exec_and_at_the_end() {
    let program = CProgram::compile(IO_WORKER);
    if !has_rings(&program) {
        return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
    }
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("ring");
    let command = launch(&hosted, cgroup, &[program.path(), "poll", "exec"]);
    wait_for_all(&hosted, cgroup, command.pid().0);
    kill(Pid::from_raw(command.pid().0), Signal::SIGUSR1).expect("it lives");
    wait_until("the new program alone is a member", || {
        hosted.tasks(cgroup) == [command.pid().0] && hosted.read(cgroup, "pids.current") == "1"
    });
    command.kill(Signal::SIGKILL as i32).expect("it lives");
    command.wait().expect("it ran");
    assert_eq!(hosted.read(cgroup, "pids.current"), "0");
}

#[test]
fn worker_that_has_ended_refuses_no_fork() {
    let program = CProgram::compile(IO_WORKER);
    if !has_rings(&program) {
        return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
    }
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("ring");
    let command = launch(&hosted, cgroup, &[program.path(), "poll", "fork"]);
    let pid = command.pid().0;
    wait_for_all(&hosted, cgroup, pid);
    hosted.write(cgroup, "pids.max", sorted_threads(pid).len());
    // it closes its ring, so the polling thread ends, and then forks once
    kill(Pid::from_raw(pid), Signal::SIGUSR1).expect("it lives");
    assert_eq!(command.wait().expect("it ran"), 7 << 8);
    assert_eq!(hosted.read(cgroup, "pids.current"), "0");
}

/// A process whose leader ends. Its second thread forks at each USR1 and prints whether it could, and executes `sleep`
/// at USR2.
const LEADERLESS: &str = r#"
static volatile pid_t second;
static void *rest(void *none) {
    sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1); sigaddset(&set, SIGUSR2);
    second = syscall(SYS_gettid);
    usleep(50000);
    puts("ready"); fflush(stdout);
    for (int signal;;) {
        sigwait(&set, &signal);
        if (signal == SIGUSR2) execlp("sleep", "sleep", "100", (char *)0);
        pid_t child = fork();
        if (child == 0) { pause(); _exit(0); }
        puts(child > 0 ? "forked" : "refused"); fflush(stdout);
    }
}
int main(void) {
    sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1); sigaddset(&set, SIGUSR2);
    pthread_t thread;
    CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
    CHECK(pthread_create(&thread, 0, rest, 0) == 0);
    alarm(60);
    syscall(SYS_exit, 0);
}"#;

fn without_leader(program: &CProgram) -> (OutsideProcess, i32) {
    let mut process = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(process.line(), "ready");
    wait_until("its leader has ended", || {
        status(process.pid(), "State").is_some_and(|state| state.starts_with('Z'))
    });
    let thread = sorted_threads(process.pid()).into_iter().find(|tid| *tid != process.pid());
    (process, thread.expect("a second thread"))
}

/// Checks a process whose leader has ended, and which is in `cgroup`.
fn use_without_leader(hosted: &TestHost, cgroup: CgroupId, other: CgroupId, pid: i32, thread: i32) {
    wait_until("the thread is a member", || hosted.tasks(cgroup) == [thread]);
    assert_eq!(hosted.read(cgroup, "cgroup.procs"), pid.to_string());
    assert_eq!(hosted.read(cgroup, "pids.current"), "1");
    hosted.write(cgroup, "freezer.state", "FROZEN");
    wait_until("it is frozen", || hosted.read(cgroup, "freezer.state") == "FROZEN");
    wait_until("it stands", || status(thread, "State").is_some_and(|state| state.starts_with('t')));
    hosted.write(cgroup, "freezer.state", "THAWED");
    // the number of the leader names the process, and is itself no task that moves
    hosted.write(other, "tasks", pid);
    assert_eq!(hosted.tasks(other), []);
    hosted.write(other, "cgroup.procs", pid);
    assert_eq!(hosted.tasks(other), [thread]);
    hosted.write(cgroup, "tasks", thread);
    assert_eq!(hosted.tasks(cgroup), [thread]);
    hosted.write(cgroup, "pids.max", 2);
}

#[test]
fn process_without_leader_is_adopted_with_its_threads() {
    let program = CProgram::compile(LEADERLESS);
    for by_thread in [false, true] {
        let (mut process, thread) = without_leader(&program);
        let hosted = TestHost::start();
        let (cgroup, other) = (hosted.cgroup("threads"), hosted.cgroup("other"));
        let named = if by_thread { thread } else { process.pid() };
        hosted.host.adopt(Tid(named)).expect("it can be traced");
        hosted.write(cgroup, if by_thread { "tasks" } else { "cgroup.procs" }, named);
        use_without_leader(&hosted, cgroup, other, process.pid(), thread);
        for expected in ["forked", "refused"] {
            process.signal(Signal::SIGUSR1 as i32);
            assert_eq!(process.line(), expected);
        }
        assert_eq!(hosted.tasks(cgroup).len(), 2);
        process.signal(Signal::SIGUSR2 as i32);
        // the thread takes over the number of its leader
        wait_until("it has executed", || hosted.tasks(cgroup).contains(&process.pid()));
        assert_eq!(hosted.read(cgroup, "pids.current"), "2");
        process.signal(Signal::SIGKILL as i32);
        wait_until("its end is seen", || hosted.read(cgroup, "pids.current") == "1");
    }
}

#[test]
fn process_without_leader_is_detached_and_adopted_again() {
    let program = CProgram::compile(LEADERLESS);
    let (mut process, thread) = without_leader(&program);
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("threads");
    for _ in 0..2 {
        hosted.host.adopt(Tid(process.pid())).expect("it can be traced");
        hosted.write(cgroup, "cgroup.procs", process.pid());
        assert_eq!(hosted.tasks(cgroup), [thread]);
        hosted.host.detach(Tid(process.pid())).expect("nothing keeps it");
        assert_eq!(hosted.tasks(cgroup), []);
    }
    process.signal(Signal::SIGUSR1 as i32);
    assert_eq!(process.line(), "forked");
}

#[test]
fn launched_process_loses_its_leader_as_in_the_kernel() {
    let program = CProgram::compile(LEADERLESS);
    let hosted = TestHost::start();
    let (cgroup, other) = (hosted.cgroup("threads"), hosted.cgroup("other"));
    let command = launch(&hosted, cgroup, &[program.path()]);
    let pid = command.pid().0;
    wait_until("its leader has ended", || status(pid, "State").is_some_and(|state| state.starts_with('Z')));
    let thread = sorted_threads(pid).into_iter().find(|tid| *tid != pid).expect("a second thread");
    use_without_leader(&hosted, cgroup, other, pid, thread);
    let usr1 = || kill(Pid::from_raw(pid), Signal::SIGUSR1).expect("it lives");
    usr1();
    wait_until("it has forked", || hosted.read(cgroup, "pids.current") == "2");
    let failures = hosted.read(cgroup, "pids.events");
    usr1();
    wait_until("its next fork is refused", || hosted.read(cgroup, "pids.events") != failures);
    kill(Pid::from_raw(pid), Signal::SIGUSR2).expect("it lives");
    wait_until("it has executed", || hosted.tasks(cgroup).contains(&pid));
    assert_eq!(hosted.read(cgroup, "pids.current"), "2");
    command.kill(Signal::SIGKILL as i32).expect("it lives");
    assert_eq!(command.wait().expect("it ran"), Signal::SIGKILL as i32);
    assert_eq!((hosted.read(cgroup, "pids.current"), hosted.tasks(cgroup)), ("0".to_owned(), vec![]));
}
