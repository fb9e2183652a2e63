//! Charges, and refusals to programs inside.

mod common;

use common::{CheckingPolicy, code, finish, look, run, start, veto};
use penfold_linux::trace::{
    Command, Fork, Gone, Job, Notice, Policy, Supervisor, TaskTable, Tid, TraceOptions,
};
use penfold_testkit::{CProgram, wait_until};

/// A user of its own, whose processes no other user's limit counts.
const FORKS_FAIL: &str = r"
    int main(int argc, char **argv) {
        struct rlimit limit = {0, 0};
        CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
        if (getuid() == 0) CHECK(setresgid(61234, 61234, 61234) == 0 && setresuid(61234, 61234, 61234) == 0);
        for (int i = 0; i < 100; i++) CHECK(fork() == -1 && errno == EAGAIN);
        if (argc > 1) { volatile long spin = 0; for (;;) spin++; }
        return 0;
    }";

#[test]
fn fork_that_fails_in_the_kernel_gives_its_charge_back() {
    let program = CProgram::compile(FORKS_FAIL);
    let outcome = run(&[program.path()], veto(), CheckingPolicy::limited(2));
    assert_eq!(code(&outcome), 0);
    assert_eq!((outcome.policy.cancelled, outcome.policy.refused, outcome.policy.processes), (100, 0, 0));
}

#[test]
fn counters_are_exact_for_a_task_that_never_stops_again() {
    let program = CProgram::compile(FORKS_FAIL);
    let job = start(&[program.path(), "spin"], veto(), CheckingPolicy::default());
    let handle = job.handle();
    // more when an interrupt makes the kernel restart a fork
    wait_until("all charges are given back", || look(&handle, |count| count.cancelled) >= 100);
    assert_eq!(look(&handle, CheckingPolicy::usage), 1);
    handle.call(|supervisor, _| supervisor.close()).unwrap();
    finish(job);
}

#[test]
fn stale_charge_refuses_no_fork() {
    // one child keeps a failed fork's charge in flight by never stopping; the other needs its place
    let program = CProgram::compile(
        &(FORKS_FAIL.replace("int main", "static int fails")
            + r"
        int main(void) {
            char *arguments[] = {(char *)1, (char *)1, 0};
            pid_t child = fork();
            if (child == 0) fails(2, arguments);
            usleep(50000);
            for (int i = 0; i < 20; i++) {
                pid_t pid = fork();
                CHECK(pid >= 0);
                if (pid == 0) _exit(0);
                waitpid(pid, 0, 0);
            }
            kill(child, SIGKILL);
            return 0;
        }"),
    );
    // main, its spinning child, and one place
    let outcome = run(&[program.path()], veto(), CheckingPolicy::limited(3));
    assert_eq!(code(&outcome), 0);
    assert_eq!(outcome.policy.processes, 21);
}

#[test]
fn ptrace_inside_is_refused_and_noticed_once() {
    let program = CProgram::compile(
        r"
        int main(void) {
            for (int i = 0; i < 3; i++) CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
            CHECK(ptrace(PTRACE_ATTACH, getppid(), 0, 0) == -1 && errno == EPERM);
            return 0;
        }",
    );
    let outcome = run(&[program.path()], TraceOptions::default(), CheckingPolicy::default());
    assert_eq!(code(&outcome), 0);
    let [Notice::PtraceRefused { comm, .. }] = &outcome.policy.notices[..] else {
        panic!("{:?}", outcome.policy.notices)
    };
    assert!(comm.starts_with("penfold-test"));
}

fn affinity() -> TraceOptions {
    TraceOptions { affinity: true, ..TraceOptions::default() }
}

#[test]
fn affinity_is_clamped() {
    let program = CProgram::compile(
        r"
        static cpu_set_t get(void) { cpu_set_t set; CHECK(sched_getaffinity(0, sizeof set, &set) == 0); return set; }
        int main(void) {
            cpu_set_t set; CPU_ZERO(&set); CPU_SET(0, &set); CPU_SET(1, &set);
            CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
            set = get(); CHECK(CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
            CPU_ZERO(&set); CPU_SET(1, &set);
            CHECK(sched_setaffinity(0, sizeof set, &set) == -1 && errno == EINVAL);
            CHECK(sched_setaffinity(0, sizeof set, (void *)8) == -1 && errno == EFAULT);
            CHECK(syscall(SYS_sched_setaffinity, 0, 0, 0) == -1 && errno == EINVAL);
            unsigned char one = 3;
            CHECK(syscall(SYS_sched_setaffinity, 0, 1, &one) == 0);
            char big[2048] = {1};
            CHECK(syscall(SYS_sched_setaffinity, 0, sizeof big, big) == 0);
            CHECK(sched_setaffinity(0x7fffffff, sizeof set, &set) == -1 && errno == ESRCH);
            pid_t pid = fork();
            if (pid == 0) { CHECK(setresuid(61235, 61235, 61235) == 0 || getuid() != 0); pause(); }
            usleep(20000);
            CPU_SET(0, &set);
            CHECK(sched_setaffinity(pid, sizeof set, &set) == 0);
            if (getuid() == 0) {
                CHECK(setresuid(61236, 61236, 61236) == 0);
                CHECK(sched_setaffinity(pid, sizeof set, &set) == -1 && errno == EPERM);
            }
            return 0;
        }",
    );
    let policy = CheckingPolicy { allowed: Some([0].into_iter().collect()), ..CheckingPolicy::default() };
    assert_eq!(code(&run(&[program.path()], affinity(), policy)), 0);
}

#[test]
fn wanted_cpus_outlive_a_change_of_the_group() {
    let program = CProgram::compile(
        r"int main(void) {
            cpu_set_t set; CPU_ZERO(&set); CPU_SET(1, &set);
            CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
            if (fork() == 0) for (;;) pause();
            for (;;) pause();
        }",
    );
    let job = start(&[program.path()], affinity(), CheckingPolicy::default());
    let handle = job.handle();
    wait_until("the child is there", || look(&handle, |count| count.living.len()) == 2);
    let shown = |tid: Tid| {
        let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.unwrap().trim().to_owned()
    };
    let apply = |cpus: Vec<usize>| {
        let mask: penfold_core::host::IndexSet = cpus.into_iter().collect();
        let apply = move |supervisor: &mut Supervisor<CheckingPolicy>, _: &mut CheckingPolicy| {
            let tasks = supervisor.tasks.ids();
            for tid in &tasks {
                supervisor.tasks.apply_affinity(*tid, &mask).unwrap();
            }
            tasks
        };
        handle.call(apply).unwrap().into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(apply(vec![0]), ["0", "0"], "none of what was asked for is left");
    assert_eq!(apply(vec![0, 1]), ["1", "1"], "what was asked for, in parent and child");
    handle.call(|supervisor, _| supervisor.close()).unwrap();
    finish(job);
}

#[test]
fn panicking_policy_ends_the_job_and_every_wait() {
    struct PanickingPolicy;
    impl Policy for PanickingPolicy {
        type Task = ();
        type Common = ();

        fn forked(&mut self, _: &mut TaskTable<(), ()>, _: Fork) {
            panic!("as the test wants");
        }
    }
    let script = "kill -STOP $$; (sleep 100) & wait";
    let command = Command::new(["sh", "-c", script]);
    let job = Job::start(command, TraceOptions::default(), PanickingPolicy).unwrap();
    let (handle, main) = (job.handle(), job.main());
    let stopped = move |job: &mut Supervisor<PanickingPolicy>, _: &mut PanickingPolicy| {
        job.tasks.is_group_stopped(main)
    };
    wait_until("it waits for us", || handle.call(stopped) == Ok(true));
    handle.call(move |job, _| job.tasks.kill(main, libc::SIGCONT)).unwrap().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.wait()));
    assert!(panicked.is_err());
    assert_eq!(handle.call(|job, _| job.tasks.ids().len()), Err(Gone));
    let state = move || std::fs::read_to_string(format!("/proc/{main}/stat")).unwrap_or_default();
    wait_until("the job is dead", || state().is_empty() || state().contains(") Z"));
}
