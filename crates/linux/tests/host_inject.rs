//! Rules for processes that ran already: they get the filter that the rules need, and do not notice.

mod common;
mod contained;
mod hosted;

use std::time::Duration;

use hosted::{FORKER, TestHost, ready, tell};
use nix::sys::signal::Signal;
use penfold_core::{Errno, Tid};
use penfold_linux::trace::{AtEnd, DetachError};
use penfold_testkit::{
    CProgram, OutsideProcess, is_root,
    proc::{self, lives, status},
    skip, wait_until,
};

/// As [`FORKER`], with threads, of which it has four.
const THREADER: &str = "
import signal, threading, time
def sleep(): time.sleep(100)
def start():
    thread = threading.Thread(target=sleep, daemon=True); thread.start()
for _ in range(3): start()
def fill(*_):
    made, why = 0, 'enough'
    while made < 50:
        try: start(); made += 1
        except RuntimeError as error:
            why = 'refused'; break
    print(made, why, flush=True)
signal.signal(signal.SIGUSR1, fill)
signal.alarm(60)
print('ready', flush=True)
while True: time.sleep(0.01)";

#[test]
fn adopted_process_is_held_to_a_limit_like_any_other() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("limited");
    hosted.write(cgroup, "pids.max", 4);
    let mut forker = ready(FORKER);
    hosted.host.adopt(Tid(forker.pid())).expect("it can be traced");
    hosted.write(cgroup, "tasks", forker.pid());
    assert_eq!(tell(&mut forker), "3 EAGAIN");
    assert_eq!(hosted.tasks(cgroup).len(), 4);
    assert_eq!(hosted.read(cgroup, "pids.current"), "4");
    assert_eq!(hosted.read(cgroup, "pids.events"), "max 1");
    assert_eq!(tell(&mut forker), "0 EAGAIN");
    hosted.write(cgroup, "pids.max", 6);
    assert_eq!(tell(&mut forker), "2 EAGAIN", "a limit that is raised lets more pass");
    hosted.write(cgroup, "pids.max", "max");
    assert_eq!(tell(&mut forker), "50 enough");
    // each child has the filter as well
    for pid in hosted.tasks(cgroup) {
        assert_eq!(status(pid, "Seccomp").as_deref(), Some("2"), "{pid}");
    }
    assert_eq!(
        status(forker.pid(), "NoNewPrivs").as_deref(),
        Some("0"),
        "it has the privilege to do without"
    );
}

#[test]
fn limit_is_set_where_an_adopted_process_is() {
    let hosted = TestHost::start();
    let (cgroup, other) = (hosted.cgroup("limited"), hosted.cgroup("other"));
    let mut forker = ready(FORKER);
    hosted.host.adopt(Tid(forker.pid())).expect("it can be traced");
    hosted.write(cgroup, "cgroup.procs", forker.pid());
    assert_eq!(tell(&mut forker), "50 enough");
    assert_eq!(status(forker.pid(), "Seccomp").as_deref(), Some("0"), "nothing needs a filter yet");
    hosted.write(cgroup, "pids.max", 53);
    assert_eq!(tell(&mut forker), "2 EAGAIN");
    hosted.write(other, "pids.max", 3);
    hosted.write(other, "tasks", forker.pid());
    assert_eq!(tell(&mut forker), "2 EAGAIN", "the limit of where it is now");
    assert_eq!(hosted.host.detach(Tid(forker.pid())), Err(DetachError::Filtered(Tid(forker.pid()))));
}

#[test]
fn threads_of_an_adopted_process_are_limited() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("limited");
    hosted.write(cgroup, "pids.max", 9);
    let mut threader = ready(THREADER);
    hosted.host.adopt(Tid(threader.pid())).expect("it can be traced");
    hosted.write(cgroup, "cgroup.procs", threader.pid());
    assert_eq!(hosted.read(cgroup, "pids.current"), "4");
    assert_eq!(tell(&mut threader), "5 refused");
    assert_eq!(hosted.tasks(cgroup).len(), 9);
    hosted.write(cgroup, "pids.max", 10);
    assert_eq!(tell(&mut threader), "1 refused");
    for tid in hosted.tasks(cgroup) {
        assert_eq!(status(tid, "Seccomp").as_deref(), Some("2"), "{tid}");
    }
}

#[test]
fn shells_that_write_their_own_number_are_limited() {
    for (shell, message) in [("dash", "Cannot fork"), ("bash", "Resource temporarily unavailable")] {
        let hosted = TestHost::start();
        let cgroup = hosted.cgroup("limited");
        hosted.write(cgroup, "pids.max", 3);
        let script = "trap 'for i in 1 2 3 4; do sleep 100 & done; echo made' USR1
            echo ready; for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & wait $!; done";
        let mut outside = OutsideProcess::orphan(&[shell, "-c", &format!("exec 2>&1; {script}")]);
        assert_eq!(outside.line(), "ready");
        hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
        hosted.write(cgroup, "tasks", outside.pid());
        outside.signal(Signal::SIGUSR1 as i32);
        let refusal = outside.line();
        assert!(refusal.contains(message), "{shell}: {refusal}");
        assert!(hosted.tasks(cgroup).len() <= 3);
        if shell == "bash" {
            // bash tries again and again
            hosted.write(cgroup, "pids.max", 20);
            while outside.line() != "made" {}
            assert!(hosted.tasks(cgroup).len() > 4, "a limit that is raised lets more pass");
        }
    }
}

#[test]
fn process_of_a_user_renounces_new_privileges() {
    if !is_root() {
        return skip("only root can adopt another user's process");
    }
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("limited");
    hosted.write(cgroup, "pids.max", 2);
    let mut forker = ready(&format!(
        "import os\nos.setresgid(65534, 65534, 65534)\nos.setresuid(65534, 65534, 65534)\n{FORKER}"
    ));
    hosted.host.adopt(Tid(forker.pid())).expect("it can be traced");
    hosted.write(cgroup, "tasks", forker.pid());
    assert_eq!(tell(&mut forker), "1 EAGAIN");
    assert_eq!(status(forker.pid(), "NoNewPrivs").as_deref(), Some("1"));
}

/// A program that waits in one way for about 400 ms and checks that it was not disturbed.
fn waiter() -> CProgram {
    CProgram::compile(
        r#"
        #include <sys/epoll.h>
        #include <poll.h>
        #include <linux/futex.h>
        static double now(void) {
            struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9;
        }
        static volatile int signals;
        static void count(int signal) { signals++; }
        int main(int argc, char **argv) {
            const char *kind = argv[1];
            int fds[2]; CHECK(pipe(fds) == 0);
            int *word = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            sigset_t usr2, none; sigemptyset(&usr2); sigaddset(&usr2, SIGUSR2); sigemptyset(&none);
            sigprocmask(SIG_BLOCK, &usr2, 0);
            struct sigaction action = { .sa_handler = count };
            sigaction(SIGUSR2, &action, 0);
            int parent = getpid(), timed = kind[0] == 't';
            alarm(60);
            int child = timed ? 0 : fork();
            if (!timed && child == 0) {
                double until = now() + 0.4;
                while (now() < until) usleep(10000);
                *word = 1;
                CHECK(write(fds[1], "x", 1) == 1);
                syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0);
                kill(parent, SIGUSR2);
                usleep(50000);
                _exit(7);
            }
            puts("ready"); fflush(stdout);
            double began = now(), least = timed ? 0.4 : 0.3;
            struct timespec time = { 0, 400000000 };
            struct pollfd entry = { fds[0], POLLIN };
            char byte;
            if (!strcmp(kind, "t-nanosleep")) CHECK(nanosleep(&time, 0) == 0);
            else if (!strcmp(kind, "t-poll")) CHECK(poll(&entry, 1, 400) == 0);
            else if (!strcmp(kind, "t-ppoll")) CHECK(ppoll(&entry, 1, &time, &none) == 0);
            else if (!strcmp(kind, "t-futex")) {
                CHECK(syscall(SYS_futex, word, FUTEX_WAIT, 0, &time, 0, 0) < 0 && errno == ETIMEDOUT);
            } else if (!strcmp(kind, "poll")) CHECK(poll(&entry, 1, -1) == 1);
            else if (!strcmp(kind, "read")) CHECK(read(fds[0], &byte, 1) == 1 && byte == 'x');
            else if (!strcmp(kind, "futex")) CHECK(syscall(SYS_futex, word, FUTEX_WAIT, 0, 0, 0, 0) == 0);
            else if (!strcmp(kind, "wait")) {
                int status; CHECK(wait(&status) == child && WEXITSTATUS(status) == 7);
            } else if (!strcmp(kind, "epoll")) {
                int epoll = epoll_create1(0);
                struct epoll_event event = { EPOLLIN };
                CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event) == 0);
                CHECK(epoll_wait(epoll, &event, 1, -1) == 1);
            } else if (!strcmp(kind, "sigwait")) CHECK(sigwaitinfo(&usr2, 0) == SIGUSR2);
            else if (!strcmp(kind, "sigsuspend")) CHECK(sigsuspend(&none) < 0 && errno == EINTR && signals == 1);
            else if (!strcmp(kind, "ppoll-signal")) {
                CHECK(ppoll(0, 0, 0, &none) < 0 && errno == EINTR && signals == 1);
            } else if (!strcmp(kind, "spin")) {
                while (!*(volatile int *)word) ;
            } else CHECK(!"known");
            sigset_t blocked; sigprocmask(SIG_BLOCK, 0, &blocked);
            CHECK(sigismember(&blocked, SIGUSR2) && !sigismember(&blocked, SIGALRM));
            double took = now() - began;
            CHECK(took >= least && took < 3);
            printf("undisturbed\n"); fflush(stdout);
            for (;;) pause();
        }"#,
    )
}

#[test]
fn interrupted_waits_go_on_as_before() {
    let program = waiter();
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("limited");
    hosted.write(cgroup, "pids.max", 100);
    let kinds = [
        "t-nanosleep",
        "t-poll",
        "t-ppoll",
        "t-futex",
        "poll",
        "read",
        "futex",
        "wait",
        "epoll",
        "sigwait",
        "sigsuspend",
        "ppoll-signal",
        "spin",
    ];
    let mut waiters: Vec<OutsideProcess> = kinds
        .iter()
        .map(|kind| {
            let mut outside =
                OutsideProcess::orphan(&["sh", "-c", "exec \"$@\" 2>&1", "sh", program.path(), kind]);
            assert_eq!(outside.line(), "ready");
            std::thread::sleep(Duration::from_millis(30));
            hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
            hosted.write(cgroup, "tasks", outside.pid());
            outside
        })
        .collect();
    for (kind, outside) in kinds.iter().zip(&mut waiters) {
        wait_until("it has its filter", || status(outside.pid(), "Seccomp").as_deref() == Some("2"));
        assert_eq!(outside.line(), "undisturbed", "{kind}");
    }
}

#[test]
fn no_signal_is_lost_during_the_installation() {
    // Queued signals with numbers from a child, which all have to arrive in order; stops and continues in between.
    let program = CProgram::compile(
        r#"
        static volatile int next;
        static void take(int signal, siginfo_t *info, void *context) {
            if (info->si_value.sival_int != next) { printf("%d not %d\n", info->si_value.sival_int, next); exit(1); }
            next++;
        }
        int main(void) {
            struct sigaction action = { .sa_sigaction = take, .sa_flags = SA_SIGINFO | SA_RESTART };
            sigaction(SIGRTMIN, &action, 0);
            int parent = getpid();
            alarm(60);
            puts("ready"); fflush(stdout);
            if (fork() == 0) {
                for (int i = 0; i < 3000; i++) {
                    union sigval value = { i };
                    while (sigqueue(parent, SIGRTMIN, value) < 0) usleep(100);
                    if (i % 100 == 50) { kill(parent, SIGSTOP); kill(parent, SIGCONT); }
                    if (i % 7 == 0) usleep(100);
                }
                _exit(0);
            }
            while (next < 3000) { int status; wait(&status); }
            puts("all"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    for wait in [0, 1, 3, 10, 20, 40] {
        let hosted = TestHost::start();
        let cgroup = hosted.cgroup("limited");
        hosted.write(cgroup, "pids.max", 100);
        let mut outside = OutsideProcess::orphan(&[program.path()]);
        assert_eq!(outside.line(), "ready");
        std::thread::sleep(Duration::from_millis(wait));
        hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
        hosted.write(cgroup, "tasks", outside.pid());
        assert_eq!(outside.line(), "all", "{wait}");
        assert_eq!(status(outside.pid(), "Seccomp").as_deref(), Some("2"));
    }
}

#[test]
fn fork_storm_is_adopted_without_an_escape() {
    let program = CProgram::compile(
        r#"
        static void *storm(void *none) {
            for (;;) { if (fork() == 0) { usleep(100000); _exit(0); } usleep(200); }
        }
        static void *reaper(void *none) { for (;;) if (wait(0) < 0) usleep(100); }
        int main(void) {
            pthread_t made;
            for (int i = 0; i < 4; i++) pthread_create(&made, 0, storm, 0);
            pthread_create(&made, 0, reaper, 0);
            alarm(60); puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    for _ in 0..10 {
        let hosted = TestHost::start();
        let cgroup = hosted.cgroup("limited");
        hosted.write(cgroup, "pids.max", 40);
        let mut outside = OutsideProcess::orphan(&[program.path()]);
        assert_eq!(outside.line(), "ready");
        std::thread::sleep(Duration::from_millis(10));
        hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
        hosted.write(cgroup, "cgroup.procs", outside.pid());
        wait_until("it is held at its limit", || {
            hosted.read(cgroup, "pids.events") != "max 0" && hosted.read(cgroup, "pids.current") != "0"
        });
        let older = proc::children(outside.pid());
        wait_until("those made before it was a member have ended", || {
            older.iter().all(|child| !lives(*child))
        });
        for _ in 0..20 {
            let current: u64 = hosted.read(cgroup, "pids.current").parse().expect("a number");
            assert!(current <= 40, "{current}");
            for child in proc::children(outside.pid()) {
                let traced = status(child, "TracerPid");
                let alive = lives(child);
                assert!(!alive || traced.as_deref() != Some("0"), "{child} has escaped");
            }
            // children made between the adoption and the move are no members and need no filter
            for member in hosted.tasks(cgroup) {
                let filtered = status(member, "Seccomp").is_none_or(|mode| mode == "2");
                assert!(filtered || !lives(member), "{member} could fork as it likes");
            }
        }
    }
}

#[test]
fn process_with_a_filter_of_its_own_is_refused() {
    let hosted = TestHost::start();
    let (free, limited) = (hosted.cgroup("free"), hosted.cgroup("limited"));
    hosted.write(limited, "pids.max", 10);
    let program = CProgram::compile(
        r#"
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        int main(void) {
            struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
            struct sock_fprog program = { 1, all };
            CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
            CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
            alarm(60); puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    let mut outside = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(outside.line(), "ready");
    hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
    let (errno, message) = hosted.refused(limited, "cgroup.procs", outside.pid());
    assert_eq!(errno, Errno::EOPNOTSUPP);
    assert!(message.contains(&format!("task {}", outside.pid())), "{message}");
    assert!(message.contains("a system call filter of its own"), "{message}");
    hosted.write(free, "cgroup.procs", outside.pid());
    assert_eq!(hosted.refused(free, "pids.max", 10).0, Errno::EOPNOTSUPP);
    assert_eq!(hosted.read(free, "pids.max"), "max");
    hosted.write(limited, "pids.max", "max");
    hosted.write(limited, "cgroup.procs", outside.pid());
    hosted.write(free, "pids.max", 10);
    hosted.host.detach(Tid(outside.pid())).expect("it has no filter of ours");
}

#[test]
fn affinity_of_an_adopted_process_is_clamped() {
    if nix::sched::sched_getaffinity(nix::unistd::Pid::this())
        .is_ok_and(|set| set.is_set(0) != Ok(true) || set.is_set(1) != Ok(true))
    {
        return skip("there are not two CPUs");
    }
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("bound");
    hosted.write(cgroup, "cpuset.cpus", 0);
    let program = "
import os, signal, time
def ask(*_):
    os.sched_setaffinity(0, {0, 1}); print(os.sched_getaffinity(0), flush=True)
signal.signal(signal.SIGUSR1, ask); signal.alarm(60)
print('ready', flush=True)
while True: time.sleep(0.02)";
    let mut outside = ready(program);
    hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
    assert_eq!(tell(&mut outside), "{0, 1}");
    hosted.write(cgroup, "tasks", outside.pid());
    assert_eq!(tell(&mut outside), "{0}");
    // a limit now needs more of the filter
    hosted.write(cgroup, "pids.max", 1);
    assert_eq!(hosted.read(cgroup, "pids.max"), "1");
    wait_until("it has both filters", || status(outside.pid(), "Seccomp_filters").as_deref() == Some("2"));
    assert_eq!(tell(&mut outside), "{0}");
}

#[test]
fn process_with_a_filter_can_not_fork_after_the_host() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("limited");
    hosted.write(cgroup, "pids.max", 2);
    let mut forker = ready(FORKER);
    hosted.host.adopt(Tid(forker.pid())).expect("it can be traced");
    hosted.write(cgroup, "tasks", forker.pid());
    assert_eq!(tell(&mut forker), "1 EAGAIN");
    hosted.host.stop(AtEnd::Kill).expect("not stopped before");
    assert_eq!(status(forker.pid(), "TracerPid").as_deref(), Some("0"));
    assert_eq!(tell(&mut forker), "0 ENOSYS");
}

#[test]
fn process_waiting_for_its_vfork_child_gets_it_later() {
    let program = CProgram::compile(
        r#"
        int main(void) {
            alarm(60); puts("ready"); fflush(stdout);
            if (vfork() == 0) { struct timespec time = { 0, 300000000 }; nanosleep(&time, 0); _exit(0); }
            printf("%d %d\n", fork() < 0 ? errno : 0, EAGAIN); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("limited");
    hosted.write(cgroup, "pids.max", 1);
    let mut outside = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(outside.line(), "ready");
    std::thread::sleep(Duration::from_millis(50));
    hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
    hosted.write(cgroup, "tasks", outside.pid());
    assert_eq!(outside.line(), "11 11");
}
