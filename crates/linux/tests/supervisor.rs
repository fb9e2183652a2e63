//! The supervisor as a process: its death, its signals, its terminal, its privileges.

mod common;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use common::CheckingPolicy;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use penfold_linux::trace::{self, ForwardedSignals, Job, TraceOptions};
use penfold_testkit::{TempFile, wait_until};

/// The variable with the script that a supervisor in another process runs.
const SCRIPT: &str = "PENFOLD_TEST_SCRIPT";

/// The variable that is set where the job is to outlive its supervisor.
const KEEP: &str = "PENFOLD_TEST_KEEP";

fn supervise(script: &str) -> i32 {
    let signals = ForwardedSignals::block();
    let exit_kill = std::env::var_os(KEEP).is_none();
    let options = TraceOptions { exit_kill, fork_veto: true, follow_stops: true, ..TraceOptions::default() };
    let command = trace::Command::new(common::shell(script));
    let outcome = match Job::start(command, options, CheckingPolicy::limited(200)) {
        Ok(job) => job.wait_forwarding(&signals),
        Err(error) => {
            eprintln!("{error}");
            return 125;
        }
    };
    assert_eq!(outcome.policy.usage(), 0);
    match outcome.status {
        Ok(status) if libc::WIFSIGNALED(status) => 128 + libc::WTERMSIG(status),
        Ok(status) => libc::WEXITSTATUS(status),
        Err(_) => 127,
    }
}

fn supervisor(script: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(SCRIPT, script).process_group(0);
    command
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}

fn gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

fn job_dies_with_its_supervisor() {
    let scratch = TempFile::new();
    let script = format!(
        "(setsid sh -c 'echo $$; exec sleep 100' &) >> {0}; echo $$ >> {0}; sleep 100",
        scratch.path().display()
    );
    let mut child = supervisor(&script).spawn().unwrap();
    wait_until("both run", || scratch.text().lines().count() == 2);
    kill(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    for process in scratch.text().lines() {
        wait_until("the job is dead", || gone(process));
    }
}

fn job_outlives_its_supervisor_on_demand() {
    let scratch = TempFile::new();
    let script = format!("echo $$ >> {}; exec sleep 100", scratch.path().display());
    let mut child = supervisor(&script).env(KEEP, "1").spawn().unwrap();
    wait_until("it runs", || scratch.text().ends_with('\n'));
    kill(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    let job = scratch.text().trim().to_owned();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(!gone(&job));
    kill(Pid::from_raw(job.parse().unwrap()), Signal::SIGKILL).unwrap();
    wait_until("killed", || gone(&job));
}

fn signals_to_the_supervisor_are_forwarded() {
    for (signal, code) in [(Signal::SIGTERM, 33), (Signal::SIGUSR1, 34), (Signal::SIGINT, 35)] {
        let scratch = TempFile::new();
        let script = format!(
            "trap 'exit 33' TERM; trap 'exit 34' USR1; trap 'exit 35' INT; echo > {}; while :; do sleep 0.01; done",
            scratch.path().display()
        );
        let mut child = supervisor(&script).spawn().unwrap();
        wait_until("it runs", || !scratch.text().is_empty());
        kill(pid(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

fn signal_to_the_own_group_is_not_forwarded_again() {
    let script = "trap 'n=$((n+1))' TERM; kill -TERM 0; sleep 0.2; exit $((n+40))";
    assert_eq!(supervisor(script).status().unwrap().code(), Some(41));
}

fn stop_from_outside_stops_the_supervisor_too() {
    let scratch = TempFile::new();
    let script =
        format!("echo > {0}; until grep -q end {0}; do sleep 0.01; done; exit 9", scratch.path().display());
    let mut child = supervisor(&script).spawn().unwrap();
    wait_until("it runs", || !scratch.text().is_empty());
    for _ in 0..3 {
        kill(pid(&child), Signal::SIGTSTP).unwrap();
        let status = waitpid(pid(&child), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(pid(&child), Signal::SIGTSTP));
        kill(pid(&child), Signal::SIGCONT).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::fs::write(scratch.path(), "end").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

fn stop_that_the_job_ends_itself_spares_the_supervisor() {
    let script = "(while sleep 0.1; do kill -CONT $$; done) & kill -STOP $$; exit 8";
    let mut child = supervisor(script).spawn().unwrap();
    let start = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed().as_secs() > 10 {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(child.wait().unwrap().code(), Some(8));
}

/// A shell's part of job control on a terminal of its own: Ctrl-Z, then fg.
const TERMINAL: &str = r"
import os, pty, signal, sys, time
shell, terminal = pty.fork()
if shell == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        while os.tcgetpgrp(0) != os.getpid(): time.sleep(0.001)
        os.execv(sys.argv[1], sys.argv[1:])
    while os.getpgid(job) != job: time.sleep(0.001)
    os.tcsetpgrp(0, job)
    for round in range(3):
        _, status = os.waitpid(job, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        os.write(1, b'STOPPED')
        os.killpg(job, signal.SIGCONT)
    _, status = os.waitpid(job, os.WUNTRACED)
    os._exit(os.waitstatus_to_exitcode(status))
seen = b''
def until(word, count):
    global seen
    while seen.count(word) < count: seen += os.read(terminal, 1000)
for round in range(3):
    until(b'READY', round + 1)
    os.write(terminal, b'\x1a')
    until(b'STOPPED', round + 1)
    os.write(terminal, b'line\n')
until(b'GOT line', 3)
os.write(terminal, b'\x03')
while True:
    try: os.read(terminal, 1000)
    except OSError: break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]))
";

fn terminal_job_control() {
    let script = "trap 'exit 42' INT
        for i in 1 2 3; do echo READY; read line; echo GOT $line; done; while :; do sleep 0.01; done";
    let mut command = Command::new("timeout");
    command.args(["20", "/usr/bin/python3", "-c", TERMINAL]);
    command.arg(std::env::current_exe().unwrap()).env(SCRIPT, script);
    assert_eq!(command.status().unwrap().code(), Some(42));
}

fn unprivileged() {
    if !nix::unistd::geteuid().is_root() {
        return; // then all other tests have shown it
    }
    let script = "grep -q '^NoNewPrivs:.1' /proc/self/status || exit 3
        [ $(id -u) = 61237 ] || exit 4; for i in $(seq 100); do (:) & done; wait; exit 6";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=61237", "--regid=61237", "--clear-groups"]);
    command.arg(std::env::current_exe().unwrap()).env(SCRIPT, script);
    assert_eq!(command.status().unwrap().code(), Some(6));
}

fn privileged_jobs_keep_set_user_id_programs() {
    if nix::unistd::geteuid().is_root() {
        let status = supervisor("grep -q '^NoNewPrivs:.0' /proc/self/status").status();
        assert!(status.unwrap().success());
    }
}

fn another_tracer_is_named() {
    let script = format!(
        "'{}' 2>&1 | grep -q 'command: traced by penfold-tracer (pid [0-9]*) already' && exit 5",
        std::env::current_exe().unwrap().display()
    );
    assert_eq!(supervisor(&script).status().unwrap().code(), Some(5));
}

// bit 31 is signal 32, which the C library's posix_spawn leaves ignored in a child of the test
fn command_starts_with_clean_signals_and_files() {
    let script = "
        grep -q '^SigBlk:.0000000000000000$' /proc/self/status || exit 3
        grep -q '^SigIgn:.00000000[08]0000000$' /proc/self/status || exit 4
        exit 0";
    assert_eq!(supervisor(script).status().unwrap().code(), Some(0));
    let list = ["-c", "ls /proc/$$/fd; exit"];
    let bare = Command::new("sh").args(list).output().unwrap();
    let traced = supervisor(list[1]).output().unwrap();
    assert_eq!(traced.stdout, bare.stdout, "open files");
    // and with the dispositions that penfold itself was started with
    let script = format!("trap '' PIPE; exec '{}'", std::env::current_exe().unwrap().display());
    let inner = "grep -q '^SigIgn:.00000000[08]0001000$' /proc/self/status";
    let status = Command::new("sh").args(["-c", &script]).env(SCRIPT, inner).status();
    assert_eq!(status.unwrap().code(), Some(0));
}

fn main() {
    if let Ok(script) = std::env::var(SCRIPT) {
        std::process::exit(supervise(&script));
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let tests: &[(&str, fn())] = &[
        ("job_dies_with_its_supervisor", job_dies_with_its_supervisor),
        ("job_outlives_its_supervisor_on_demand", job_outlives_its_supervisor_on_demand),
        ("signals_to_the_supervisor_are_forwarded", signals_to_the_supervisor_are_forwarded),
        ("signal_to_the_own_group_is_not_forwarded_again", signal_to_the_own_group_is_not_forwarded_again),
        ("stop_from_outside_stops_the_supervisor_too", stop_from_outside_stops_the_supervisor_too),
        (
            "stop_that_the_job_ends_itself_spares_the_supervisor",
            stop_that_the_job_ends_itself_spares_the_supervisor,
        ),
        ("terminal_job_control", terminal_job_control),
        ("unprivileged", unprivileged),
        ("privileged_jobs_keep_set_user_id_programs", privileged_jobs_keep_set_user_id_programs),
        ("another_tracer_is_named", another_tracer_is_named),
        ("command_starts_with_clean_signals_and_files", command_starts_with_clean_signals_and_files),
    ];
    for (name, test) in tests {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            println!("test supervisor::{name}");
            test();
        }
    }
}
