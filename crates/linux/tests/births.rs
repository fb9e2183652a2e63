//! Every task is counted, in whichever way it is made, and counted once.

mod common;

use common::{CheckingPolicy, code, finish, look, run, shell, start, veto};
use penfold_linux::trace::{Notice, TraceOptions};
use penfold_testkit::{CProgram, TempFile, wait_until};

#[test]
fn status_and_output_are_those_of_the_command() {
    for options in [TraceOptions::default(), veto()] {
        assert_eq!(code(&run(&shell("exit 7"), options, CheckingPolicy::default())), 7);
        let outcome = run(&shell("kill -TERM $$"), options, CheckingPolicy::default());
        assert_eq!(outcome.status.map(|status| libc::WTERMSIG(status)).ok(), Some(libc::SIGTERM));
    }
}

#[test]
fn command_that_cannot_run_gives_the_reason() {
    let error = common::start_error(&["/nonexistent/program"]);
    assert_eq!(error.to_string(), "/nonexistent/program: command not found");
    assert_eq!(
        common::start_error(&["/etc/passwd"]).to_string(),
        "/etc/passwd: can't be executed: Permission denied"
    );
}

#[test]
fn fork_bomb_is_bounded() {
    let bomb = shell("f() { f | f & f | f & }; f 2>/dev/null; sleep 1");
    let outcome = run(&bomb, veto(), CheckingPolicy::limited(20));
    assert_eq!(outcome.policy.peak, 20);
    assert!(outcome.policy.refused > 0);
}

#[test]
fn refusal_is_eagain_and_the_limit_is_exact() {
    let program = CProgram::compile(
        r"
        int main(void) {
            for (int round = 0; round < 50; round++) {
                pid_t children[8]; int made = 0;
                while ((children[made] = fork()) > 0) made++;
                if (children[made] == 0) { pause(); _exit(0); }
                CHECK(errno == EAGAIN && made == 4);
                for (int i = 0; i < made; i++) {
                    kill(children[i], SIGTERM);
                    CHECK(waitpid(children[i], 0, 0) == children[i]);
                }
            }
            return 0;
        }",
    );
    let outcome = run(&[program.path()], veto(), CheckingPolicy::limited(5));
    assert_eq!(code(&outcome), 0);
    assert_eq!((outcome.policy.peak, outcome.policy.refused, outcome.policy.processes), (5, 50, 200));
}

#[test]
fn sequential_children_at_the_limit_are_never_refused() {
    let program = CProgram::compile(
        r"
        int main(void) {
            for (int i = 0; i < 3000; i++) {
                pid_t pid = i % 2 ? fork() : vfork();
                if (pid == 0) _exit(0);
                CHECK(pid > 0);
                CHECK(waitpid(pid, 0, 0) == pid);
            }
            return 0;
        }",
    );
    let outcome = run(&[program.path()], veto(), CheckingPolicy::limited(2));
    assert_eq!(code(&outcome), 0);
    assert_eq!((outcome.policy.processes, outcome.policy.refused), (3000, 0));
}

#[test]
fn python_threads_are_counted() {
    let script = "
import threading
for _ in range(10):
    threads = [threading.Thread(target=lambda: sum(range(1000))) for _ in range(10)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
";
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&["/usr/bin/python3", "-c", script], options, CheckingPolicy::default());
        assert_eq!(code(&outcome), 0);
        assert_eq!((outcome.policy.threads, outcome.policy.processes), (100, 0));
    }
}

/// `raw_clone(flags)`, which also checks that the call kept the flags in their register, in parent and child.
const CLONE: &str = r#"
    static long raw_clone(unsigned long flags) {
        long result; unsigned long before = flags;
        register long r10 __asm__("r10") = 0; register long r8 __asm__("r8") = 0;
        __asm__ volatile("syscall" : "=a"(result), "+D"(flags)
            : "0"(56L), "S"(0L), "d"(0L), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
        CHECK(flags == before);
        return result;
    }"#;

fn with_clone(main: &str) -> CProgram {
    CProgram::compile(&(CLONE.to_owned() + main))
}

#[test]
#[cfg(target_arch = "x86_64")]
fn untraced_children_are_seen_and_cannot_tell() {
    let program = with_clone(
        r"
        int main(void) {
            for (int i = 0; i < 200; i++) {
                long pid = raw_clone(CLONE_UNTRACED | SIGCHLD);
                CHECK(pid >= 0);
                if (pid == 0) _exit(5);
                int status; CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
            }
            return 0;
        }",
    );
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&[program.path()], options, CheckingPolicy::limited(2));
        assert_eq!(code(&outcome), 0);
        assert_eq!(outcome.policy.processes, 200);
        assert!(matches!(outcome.policy.notices[0], Notice::UntracedCleared { .. }));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn children_given_to_the_parents_parent_are_seen() {
    let program = with_clone(
        r"
        int main(void) {
            for (int i = 0; i < 100; i++) {
                pid_t child = fork();
                if (child == 0) {
                    long sibling = raw_clone(CLONE_PARENT | SIGCHLD);
                    CHECK(sibling >= 0);
                    _exit(0);
                }
                CHECK(wait(0) > 0 && wait(0) > 0);
                CHECK(wait(0) == -1 && errno == ECHILD);
            }
            /* ours go to the supervisor itself */
            long sibling = raw_clone(CLONE_PARENT | SIGCHLD);
            CHECK(sibling >= 0);
            return 0;
        }",
    );
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&[program.path()], options, CheckingPolicy::default());
        assert_eq!(code(&outcome), 0);
        assert_eq!(outcome.policy.processes, 201);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn forks_through_the_32_bit_interface_are_judged() {
    let program = CProgram::compile(
        r#"
        static long call32(long number, long argument) {
            long result; long rbx = argument;
            __asm__ volatile("int $0x80" : "=a"(result), "+b"(rbx) : "0"(number), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
                : "memory", "r8", "r9", "r10", "r11");
            CHECK((uint32_t)rbx == (uint32_t)argument);
            return (int)result;
        }
        int main(void) {
            long numbers[] = {2, 190, 120, 120}, arguments[] = {0, 0, SIGCHLD, SIGCHLD | CLONE_UNTRACED};
            for (int i = 0; i < 4; i++) {
                if (i == 1) continue; /* vfork returns twice on one stack: not from a C function */
                long pid = call32(numbers[i], arguments[i]);
                CHECK(pid >= 0);
                if (pid == 0) { CHECK(call32(numbers[i], arguments[i]) == -EAGAIN); _exit(0); }
                int status; CHECK(waitpid(pid, &status, 0) == pid && status == 0);
            }
            CHECK(call32(435, 0) == -ENOSYS);
            return 0;
        }"#,
    );
    let outcome = run(&[program.path()], veto(), CheckingPolicy::limited(2));
    assert_eq!(code(&outcome), 0);
    assert_eq!((outcome.policy.processes, outcome.policy.refused), (3, 3));
}

#[test]
fn clone3_falls_back_to_clone() {
    let program = CProgram::compile(
        r#"
        int main(void) {
            CHECK(syscall(SYS_clone3, 0, 0) == -1 && errno == ENOSYS);
            extern char **environ;
            char *argv[] = {"true", 0};
            for (int i = 0; i < 200; i++) {
                pid_t pid; CHECK(posix_spawnp(&pid, "true", 0, 0, argv, environ) == 0);
                int status; CHECK(waitpid(pid, &status, 0) == pid && status == 0);
            }
            return 0;
        }"#,
    );
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&[program.path()], options, CheckingPolicy::default());
        assert_eq!(code(&outcome), 0);
        assert_eq!(outcome.policy.processes, 200);
    }
}

/// A named pipe: a shell waits at it without a fork.
fn pipe() -> TempFile {
    let pipe = TempFile::unmade("");
    nix::unistd::mkfifo(pipe.path(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    pipe
}

#[test]
fn daemons_die_with_the_main_command() {
    let pipe = pipe();
    let script = format!(
        "exec 3<>{}; for i in 1 2 3; do (setsid sh -c 'sleep 100 & echo; exec sleep 100' >&3 & ); done
        for i in 1 2 3; do read line <&3; done",
        pipe.path().display()
    );
    let outcome = run(&shell(&script), TraceOptions::default(), CheckingPolicy::default());
    assert_eq!(code(&outcome), 0);
    assert!(outcome.policy.processes >= 7, "{:?}", outcome.policy);
}

#[test]
fn process_that_forks_in_a_loop_is_ended() {
    let program = CProgram::compile(
        r"
        int main(void) {
            if (fork() == 0) {
                setsid(); signal(SIGCHLD, SIG_IGN);
                for (;;) { if (fork() != 0) _exit(0); }
            }
            usleep(100000);
            return 0;
        }",
    );
    for options in [TraceOptions::default(), veto()] {
        assert_eq!(code(&run(&[program.path()], options, CheckingPolicy::default())), 0);
    }
}

#[test]
fn orphans_come_back_and_are_reaped() {
    let pipe = pipe();
    let script = format!(
        "for i in $(seq 50); do (sh -c 'sleep 0.05' & ); done; read line < {}",
        pipe.path().display()
    );
    let job = start(&shell(&script), TraceOptions::default(), CheckingPolicy::default());
    let handle = job.handle();
    wait_until("all orphans were born", || look(&handle, |count| count.processes) >= 150);
    wait_until("all orphans are reaped", || look(&handle, |count| count.living.len()) <= 2);
    std::fs::write(pipe.path(), "end\n").expect("the shell reads it");
    assert_eq!(code(&finish(job)), 0);
}

#[test]
fn exec_by_another_thread_keeps_the_process() {
    let program = CProgram::compile(
        r#"
        static void *idle(void *none) { pause(); return none; }
        static void *becomes(void *none) {
            usleep(1000);
            execlp("sh", "sh", "-c", "true; true", (char *)0);
            return none;
        }
        int main(int argc, char **argv) {
            for (int i = 0; i < 50; i++) {
                pid_t pid = fork();
                if (pid == 0) {
                    pthread_t thread;
                    for (int j = 0; j < 3; j++) pthread_create(&thread, 0, idle, 0);
                    pthread_create(&thread, 0, becomes, 0);
                    if (i % 2) pthread_exit(0); /* the leader may be a zombie by then */
                    pause();
                }
                int status; CHECK(waitpid(pid, &status, 0) == pid && status == 0);
            }
            return 0;
        }"#,
    );
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&[program.path()], options, CheckingPolicy::default());
        assert_eq!(code(&outcome), 0);
        assert_eq!((outcome.policy.renamed, outcome.policy.threads), (50, 200));
    }
}

#[test]
fn dash_with_a_chld_trap_sees_no_failed_fork() {
    let script = "
        trap 'caught=1' CHLD
        i=0
        while [ $i -lt 3000 ]; do (:) & i=$((i+1)); [ $((i % 50)) -eq 0 ] && wait; done
        wait
        j=0
        while [ $j -lt 100 ]; do x=$(echo $j | cat | cat); [ \"$x\" = $j ] || exit 1; j=$((j+1)); done
        [ \"$caught\" = 1 ]";
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&["dash", "-c", script], options, CheckingPolicy::default());
        assert_eq!(code(&outcome), 0);
        assert!(outcome.policy.processes >= 3300, "{:?}", outcome.policy.processes);
    }
}

#[test]
fn children_killed_at_birth_are_accounted_once() {
    let program = CProgram::compile(
        r"
        int main(void) {
            for (int i = 0; i < 400; i++) {
                pid_t group = fork();
                if (group == 0) {
                    setpgid(0, 0);
                    for (;;) { pid_t pid = fork(); if (pid == 0) _exit(0); if (pid > 0) waitpid(pid, 0, WNOHANG); }
                }
                usleep(300 + i % 7 * 100);
                if (kill(-group, SIGKILL)) kill(group, SIGKILL);
                CHECK(waitpid(group, 0, 0) == group);
            }
            return 0;
        }",
    );
    for options in [TraceOptions::default(), veto()] {
        let outcome = run(&[program.path()], options, CheckingPolicy::limited(10_000));
        assert_eq!(code(&outcome), 0);
        assert!(outcome.policy.processes > 400);
        assert!(outcome.policy.orphaned > 0, "the case that this is about");
    }
}
