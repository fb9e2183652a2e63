//! Membership is exact: a task is counted, refused at the limit and dead after the run, in whichever way it is made.
#![cfg(target_arch = "x86_64")] // the C program makes system calls of its own

mod common;

use common::{CLONE, FinishedRun, TestUser, penfold, plain, users};
use penfold_testkit::{CProgram, needs, skip_even_in_ci};

/// `attempt(way)` makes a child; the parent gets its id or -errno. In the child `child()` runs, but for the i386
/// vfork, whose child can't return on the shared stack.
const WAYS: &str = r#"
    static int stay;            /* the child lives on */
    static char **self;
    static void child(void) {
        if (!stay) _exit(7);
        for (;;) pause();
    }
    static long answered(long pid) { if (pid == 0) child(); return pid < 0 ? -errno : pid; }
    static long call32(long number, long argument) {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(argument), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
            : "memory", "r8", "r9", "r10", "r11");
        return (int)result;
    }
    /* the child never leaves the assembler: exit(7), or pause() for ever */
    static long vfork32(void) {
        long result, on = stay;
        __asm__ volatile("int $0x80\n test %%eax, %%eax\n jnz 2f\n test %%rsi, %%rsi\n jnz 1f\n"
            "mov $1, %%eax\n mov $7, %%ebx\n int $0x80\n 1: mov $29, %%eax\n int $0x80\n jmp 1b\n 2:"
            : "=a"(result) : "0"(190L), "S"(on) : "rbx", "rcx", "rdx", "memory", "r8", "r9", "r10", "r11", "cc");
        return (int)result;
    }
    static long x32(long number) {
        long result;
        __asm__ volatile("syscall" : "=a"(result) : "0"(0x40000000L | number) : "rcx", "r11", "memory");
        return result;
    }
    static long spawned(void) {
        extern char **environ; pid_t pid;
        char *argv[] = {self[0], "child", stay ? "stay" : "go", 0};
        int error = posix_spawn(&pid, self[0], 0, 0, argv, environ);
        return error ? -error : pid;
    }
    static long attempt(const char *way) {
        long pid;
        if (!strcmp(way, "fork")) return answered(fork());
        if (!strcmp(way, "vfork")) {
            pid = vfork();
            if (pid == 0) { if (!stay) _exit(7); execl(self[0], self[0], "child", "stay", (char *)0); _exit(8); }
            return pid < 0 ? -errno : pid;
        }
        if (!strcmp(way, "posix_spawn")) return spawned();
        if (!strcmp(way, "clone-untraced")) pid = raw_clone(CLONE_UNTRACED | SIGCHLD);
        else if (!strcmp(way, "clone-parent")) pid = raw_clone(CLONE_PARENT | SIGCHLD);
        else if (!strcmp(way, "clone-silent")) pid = raw_clone(0);
        else if (!strcmp(way, "i386-fork")) pid = call32(2, 0);
        else if (!strcmp(way, "i386-vfork")) return vfork32();
        else if (!strcmp(way, "i386-clone")) pid = call32(120, SIGCHLD);
        else if (!strcmp(way, "i386-clone-untraced")) pid = call32(120, SIGCHLD | CLONE_UNTRACED);
        else if (!strcmp(way, "x32-fork")) pid = x32(57);
        else exit(98);
        if (pid == 0) child();
        return pid;
    }
"#;

const MAIN: &str = r#"
    int main(int argc, char **argv) {
        self = argv;
        const char *mode = argv[1], *way = argv[2];
        if (!strcmp(mode, "child")) { stay = !strcmp(way, "stay"); child(); }
        int siblings = !strcmp(way, "clone-parent");
        if (!strcmp(mode, "count")) {
            for (int i = 0; i < atoi(argv[3]); i++) {
                long pid = attempt(way); CHECK(pid > 0);
                int status;
                if (!siblings) { CHECK(waitpid(pid, &status, __WALL) == pid && WEXITSTATUS(status) == 7); }
            }
        } else if (!strcmp(mode, "refuse")) { /* room for one more task, then for none */
            pid_t one = fork(); if (one == 0) { pause(); _exit(0); }
            for (int i = 0; i < 100; i++) CHECK(attempt(way) == -EAGAIN);
            kill(one, SIGKILL); CHECK(waitpid(one, 0, 0) == one);
            long pid = attempt(way); CHECK(pid > 0);
        } else if (!strcmp(mode, "leave")) { /* a daemon that has a child of that kind, perhaps in vfork for ever */
            stay = 1;
            int ready[2]; char byte = 0;
            CHECK(pipe(ready) == 0);
            if (fork() == 0) {
                setsid();
                if (fork() == 0) {
                    signal(SIGTERM, SIG_IGN);
                    CHECK(write(ready[1], &byte, 1) == 1 && attempt(way) > 0);
                    for (;;) pause();
                }
                _exit(0);
            }
            CHECK(wait(0) > 0 && read(ready[0], &byte, 1) == 1);
            usleep(200000); /* no more can be waited for: after a vfork nobody can say that it is done */
        } else if (!strcmp(mode, "ask")) {
            printf("%ld\n", attempt(way));
        }
        return 0;
    }
"#;

const ALL: [&str; 10] = [
    "fork",
    "vfork",
    "posix_spawn",
    "clone-untraced",
    "clone-parent",
    "clone-silent",
    "i386-fork",
    "i386-vfork",
    "i386-clone",
    "i386-clone-untraced",
];

fn program() -> CProgram {
    CProgram::compile(&[CLONE, WAYS, MAIN].concat())
}

/// The result of the call without penfold.
fn ask_bare(program: &CProgram, way: &str) -> i64 {
    common::TestRun::new([program.path(), "ask", way]).run().stdout.trim().parse().unwrap_or(-1)
}

/// The ways that this kernel has: it may have been built without 32-bit calls.
fn ways(program: &CProgram) -> Vec<&'static str> {
    let there = |way: &str| ask_bare(program, way) > 0;
    let mut ways: Vec<&str> = ALL.into_iter().filter(|way| !way.starts_with("i386") || there(way)).collect();
    if ways.len() < ALL.len() {
        skip_even_in_ci("the i386 ways: this kernel has no 32-bit system calls");
    }
    if there("x32-fork") {
        ways.push("x32-fork");
    }
    ways
}

fn run(program: &CProgram, settings: &[&str], arguments: &[&str], user: TestUser) -> FinishedRun {
    let words = [&[program.path()], arguments].concat();
    let ended = penfold(settings, &words).user(user).run();
    assert!(ended.status.success(), "{arguments:?}: {ended:#?}");
    ended
}

#[test]
fn every_way_to_make_a_child_is_counted() {
    needs!("cc", "setpriv");
    let program = program();
    for way in ways(&program) {
        for user in users() {
            // with the fork filter and without
            for settings in [&["pids.max=1000"][..], &[]] {
                let ended = run(&program, settings, &["count", way, "100"], user).clean();
                assert_eq!(ended.number("tasks_created"), 101, "{way}");
                assert_eq!(ended.file("pids.current"), "0", "{way}");
            }
        }
    }
}

#[test]
fn every_way_to_make_a_child_is_refused_at_the_limit() {
    needs!("cc", "setpriv");
    let program = program();
    for way in ways(&program) {
        for user in users() {
            let ended = run(&program, &["pids.max=2"], &["refuse", way], user).clean();
            let books = ["tasks_created", "tasks_peak", "forks_refused"].map(|name| ended.number(name));
            assert_eq!(books, [3, 2, 100], "{way}");
        }
    }
}

#[test]
fn every_way_to_make_a_child_ends_with_the_run() {
    needs!("cc", "setpriv");
    let program = program();
    for way in ways(&program) {
        for user in users() {
            for settings in [&["pids.max=1000"][..], &[]] {
                let ended = run(&program, settings, &["leave", way], user);
                assert!(ended.left.is_empty(), "{way}: {:?} live on", ended.left);
                assert_eq!(ended.number("tasks_created"), 4, "{way}: main, two of the daemon, its child");
            }
        }
    }
}

#[test]
fn x32_calls_are_judged_or_absent() {
    needs!("cc");
    let program = program();
    if ask_bare(&program, "x32-fork") > 0 {
        return; // then the tests above cover x32 like all other ways
    }
    let ended = run(&program, &["pids.max=10"], &["ask", "x32-fork"], TestUser::Same).clean();
    assert_eq!((ended.stdout.trim(), ended.number("tasks_created")), ("-38", 1));
}

#[test]
fn short_lived_children_are_all_counted() {
    needs!("sh", "setpriv");
    let script = "i=0; while [ $i -lt 1000 ]; do (:); i=$((i+1)); done; for i in 1 2 3; do /bin/true; done";
    for user in users() {
        let ended = penfold(&["pids.max=5"], &common::shell(script)).user(user).run().succeeded();
        assert_eq!((ended.number("tasks_created"), ended.number("forks_refused")), (1004, 0));
    }
}

#[test]
fn threads_are_counted() {
    needs!("cc", "setpriv");
    let program = CProgram::compile(
        r"
        static void *nothing(void *none) { return none; }
        int main(void) {
            for (int i = 0; i < 500; i++) {
                pthread_t thread; CHECK(pthread_create(&thread, 0, nothing, 0) == 0 && pthread_join(thread, 0) == 0);
            }
            return 0;
        }",
    );
    for user in users() {
        let ended = penfold::<&str>(&["pids.max=50"], &[program.path()]).user(user).run().succeeded();
        assert_eq!((ended.number("tasks_created"), ended.file("pids.current")), (501, "0".to_owned()));
    }
}

#[test]
fn daemons_are_counted_and_dead_after_the_run() {
    needs!("sh", "setsid", "setpriv");
    // each writes to a pipe when all of it runs, and the shell reads the pipe without a fork
    let script = "exec 3<>$OUT/pipe; for i in 1 2 3 4 5; do
            (setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000 & echo; wait' >&3 &)
        done; for i in 1 2 3 4 5; do read line <&3; done; sleep 0.01";
    let with_pipe = |run: common::TestRun| {
        let pipe = run.scratch().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::empty()).expect("a pipe");
        std::fs::set_permissions(&pipe, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("ours");
        let out = run.scratch();
        run.env("OUT", out)
    };
    for user in users() {
        let run = with_pipe(penfold::<&str>(&[], &common::shell(script)));
        let ended = run.user(user).run().succeeded();
        // of each: the subshell, setsid (which becomes sh) and sleep; and the last sleep
        let created = ended.number("tasks_created");
        assert!((1 + 5 * 3 + 1..=1 + 5 * 4 + 1).contains(&created), "{created}");
        assert!(ended.elapsed.as_secs() < 5);
    }
    let ended = with_pipe(plain(&["run", "-q", "--", "sh", "-c", script])).run().succeeded();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
