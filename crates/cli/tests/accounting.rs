//! CPU time: equal to the kernel's for the same tree, within 1 % or 10 ms.

mod common;

use common::{FinishedRun, KernelGroup, penfold, users};
use penfold_testkit::{CProgram, needs, skip};

/// A program that runs a load and waits for all processes that the load leaves. It prints the kernel's accounts of
/// itself and of these processes: user and system time in microseconds.
const HARNESS: &str = r#"
    static void load(int argc, char **argv);
    int main(int argc, char **argv) {
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        pid_t child = fork();
        if (child == 0) { load(argc, argv); _exit(0); }
        int status, failed = 0;
        while (wait(&status) > 0) failed |= status;
        struct rusage self, children;
        getrusage(RUSAGE_CHILDREN, &children); getrusage(RUSAGE_SELF, &self);
        #define US(t) (self.t.tv_sec + children.t.tv_sec) * 1000000L + self.t.tv_usec + children.t.tv_usec
        printf("%ld %ld\n", US(ru_utime), US(ru_stime));
        return failed != 0;
    }
    static void spin(long ms) {
        struct timespec now; volatile long x = 0;
        /* a quarter of a millisecond, so that looking at the clock is next to nothing of it */
        do { for (int i = 0; i < 1000000; i++) x += i; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); }
        while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
    }
"#;

const CHILDREN: &str = r"
    static void load(int argc, char **argv) {
        for (int i = 0; i < 3000; i++) {
            pid_t pid = i % 3 ? fork() : vfork();
            if (pid == 0) { if (i % 3) { volatile char *page = malloc(40000); for (int j = 0; j < 40000; j += 99) page[j] = 1; } _exit(0); }
            CHECK(pid > 0 && waitpid(pid, 0, 0) == pid);
        }
    }";

const EXECUTED: &str = r#"
    static void load(int argc, char **argv) {
        for (int i = 0; i < 600; i++) {
            pid_t pid = vfork();
            if (pid == 0) { execl("/bin/true", "true", (char *)0); _exit(1); }
            CHECK(pid > 0); int status;
            CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        }
    }"#;

const DAEMONS: &str = r"
    static void load(int argc, char **argv) {
        for (int i = 0; i < 20; i++)
            if (fork() == 0) { setsid(); if (fork() == 0) { spin(30); _exit(0); } spin(10); _exit(0); }
    }";

const THREADS: &str = r"
    static void *run(void *ms) { spin((long)ms); return 0; }
    static void load(int argc, char **argv) {
        pthread_t threads[6];
        for (int i = 0; i < 6; i++) CHECK(pthread_create(&threads[i], 0, run, (void *)(long)(100 + 50 * i)) == 0);
        for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
        /* the others are still running, or dead unjoined */
        spin(200);
        for (int i = 3; i < 6; i++) pthread_join(threads[i], 0);
    }";

const USER: &str = "static void load(int argc, char **argv) { spin(600); }";

const SYSTEM: &str = r#"
    static void load(int argc, char **argv) {
        static char buffer[1 << 20];
        int fd = open("/dev/zero", O_RDONLY); CHECK(fd >= 0);
        struct timespec now;
        do { CHECK(read(fd, buffer, sizeof buffer) == sizeof buffer); clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); }
        while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < 600);
    }"#;

fn program(load: &str) -> CProgram {
    CProgram::compile(&[HARNESS, load].concat())
}

/// Asserts that two times are equal within 1 % or 10 ms.
#[track_caller]
fn near(what: &str, ours: f64, kernels: f64) {
    let tolerance = (kernels * 0.01).max(0.01);
    println!("{what}: {ours:.6} s, kernel {kernels:.6} s");
    assert!((ours - kernels).abs() <= tolerance, "{what}: {ours:.6} s here, {kernels:.6} s by the kernel");
}

/// The times that the tree printed of itself: user and system time in seconds.
fn rusage(ended: &FinishedRun) -> (f64, f64) {
    let mut numbers = ended.stdout.split_whitespace().map(|word| word.parse::<f64>().unwrap() / 1e6);
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Asserts that the report agrees with the control files in it.
fn consistent(ended: &FinishedRun) {
    let number = |name: &str| ended.file(name).parse::<u64>().unwrap();
    let usage = number("cpuacct.usage");
    assert_eq!(number("cpuacct.usage_user") + number("cpuacct.usage_sys"), usage);
    let percpu = ended.file("cpuacct.usage_percpu");
    assert_eq!(percpu.split_whitespace().map(|time| time.parse::<u64>().unwrap()).sum::<u64>(), usage);
    let (user, system) = ended.times();
    assert!(((user + system) * 1e9 - usage as f64).abs() < 1e3, "{user} + {system} s, {usage} ns");
    let line = format!("{user:.2} s user, {system:.2} s system");
    assert!(ended.stderr.contains(&line), "{line} in {}", ended.stderr);
}

fn equals_rusage(load: &str) {
    let program = program(load);
    for user in users() {
        // with a stop at every fork and without
        for settings in [&[][..], &["pids.max=100"]] {
            let ended = penfold(settings, &[program.path()]).user(user).run().succeeded();
            consistent(&ended);
            let (user, system) = rusage(&ended);
            near("rusage", ended.times().0 + ended.times().1, user + system);
        }
    }
}

#[test]
fn cpu_time_of_3000_short_lived_children_equals_rusage() {
    needs!("cc", "setpriv");
    equals_rusage(CHILDREN);
}

#[test]
fn cpu_time_of_executed_programs_equals_rusage() {
    needs!("cc", "setpriv");
    equals_rusage(EXECUTED);
}

#[test]
fn cpu_time_of_daemons_equals_rusage() {
    needs!("cc", "setpriv");
    equals_rusage(DAEMONS);
}

#[test]
fn cpu_time_of_a_busy_threaded_program_equals_rusage() {
    needs!("cc", "setpriv");
    equals_rusage(THREADS);
}

#[test]
fn user_and_system_time_are_told_apart_as_the_kernel_does() {
    needs!("cc");
    for (load, mostly_user) in [(USER, true), (SYSTEM, false)] {
        let ended = penfold(&["pids.max=10"], &[program(load).path()]).run().succeeded();
        consistent(&ended);
        let (user, system) = ended.times();
        let share = user / (user + system);
        assert!(if mostly_user { share > 0.9 } else { share < 0.4 }, "{user} s user, {system} s system");
        let kernels = rusage(&ended);
        // both follow ticks, of 10 ms at worst, taken at other moments
        let tolerance = (0.05 * (kernels.0 + kernels.1)).max(0.03);
        assert!((user - kernels.0).abs() < tolerance, "user {user} s, kernel {kernels:?}");
        assert!((system - kernels.1).abs() < tolerance, "system {system} s, kernel {kernels:?}");
    }
}

#[test]
fn cpu_time_equals_the_kernels_cpuacct() {
    needs!("cc", "sh");
    for (name, load) in
        [("children", CHILDREN), ("executed", EXECUTED), ("daemons", DAEMONS), ("threads", THREADS)]
    {
        for settings in [&[][..], &["pids.max=100"]] {
            let Some(group) = KernelGroup::new("cpuacct", "cpuacct.usage") else {
                return skip("the kernel's cpuacct is not there as cgroup v1, or not ours to use");
            };
            let program = program(load);
            let command: Vec<String> = group.enter().into_iter().chain([program.path().to_owned()]).collect();
            let ended = penfold(settings, &command).run().succeeded();
            near(name, ended.times().0 + ended.times().1, group.number("cpuacct.usage") as f64 / 1e9);
        }
    }
}

#[test]
fn cpu_time_of_unreaped_children_is_counted() {
    needs!("cc");
    let program = CProgram::compile(
        r"
        int main(void) {
            signal(SIGCHLD, SIG_IGN);
            int done[2]; char byte = 0;
            CHECK(pipe(done) == 0);
            for (int i = 0; i < 3; i++) if (fork() == 0) {
                struct timespec now;
                do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); while (now.tv_nsec < 150000000);
                CHECK(write(done[1], &byte, 1) == 1);
                if (i == 2) for (;;) pause(); /* killed with the rest of the job */
                _exit(0);
            }
            for (int i = 0; i < 3; i++) CHECK(read(done[0], &byte, 1) == 1);
            return 0;
        }",
    );
    let ended = penfold::<&str>(&[], &[program.path()]).run().succeeded();
    let (user, system) = ended.times();
    near("three children", user + system, 0.45);
}
