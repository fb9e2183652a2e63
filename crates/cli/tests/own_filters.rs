//! Limits hold although a program has seccomp filters of its own, shares its memory or can't be read.
#![cfg(target_arch = "x86_64")] // the C programs make system calls of their own

mod common;

use std::process::{Child, Command, Stdio};

use common::{AS_NOBODY, TestDaemon, TestUser, penfold, two_cpus, users};
use penfold_testkit::{CProgram, TempDir, needs};

const FILTERS: &str = r"
    #include <linux/filter.h>
    #include <sys/ioctl.h>
    #include <linux/seccomp.h>
    #include <stddef.h>
    /* a filter with this answer for each of the numbers */
    static int install(const int *numbers, int count, unsigned answer, unsigned flags) {
        struct sock_filter program[64]; int at = 0;
        program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (int i = 0; i < count; i++) {
            program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1);
            program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer);
        }
        program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog whole = {at, program};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &whole);
    }
    static const int makers[] = {SYS_clone, SYS_fork, SYS_vfork};
";

fn program(main: &str) -> CProgram {
    CProgram::compile(&[FILTERS, main].concat())
}

#[test]
fn job_can_not_install_a_seccomp_listener() {
    needs!("cc", "setpriv");
    let program = program(
        r#"
        static long call32(long number, long first, long second, void *third) {
            long result;
            __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(first), "c"(second), "d"(third)
                : "memory", "r8", "r9", "r10", "r11");
            return (int)result;
        }
        int main(void) {
            for (unsigned others = 0; others < 8; others++) {
                int flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | others;
                CHECK(install(makers, 3, SECCOMP_RET_USER_NOTIF, flags) == -1 && errno == EBUSY);
            }
            CHECK(call32(354, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0) == -EBUSY);
            /* a filter without a listener is the program's own affair */
            const int numbers[] = {SYS_getppid};
            CHECK(install(numbers, 1, SECCOMP_RET_ERRNO | EPERM, 0) == 0 && syscall(SYS_getppid) == -1 && errno == EPERM);
            return 0;
        }"#,
    );
    for user in users() {
        for settings in [&["pids.max=4"][..], &[]] {
            penfold::<&str>(settings, &[program.path()]).user(user).run().succeeded();
        }
    }
}

#[test]
fn data_of_an_own_filter_passes_no_limit() {
    needs!("cc", "setpriv");
    let program = program(
        r#"
        int main(int argc, char **argv) {
            unsigned data = strtoul(argv[1], 0, 0); long flags = strtoul(argv[2], 0, 0) | SIGCHLD; int made = 0;
            CHECK(argc == 3 && install(makers, 3, SECCOMP_RET_TRACE | data, 0) == 0);
            for (int i = 0; i < 12; i++) {
                long pid = syscall(SYS_clone, flags, 0, 0, 0, 0);
                if (pid == 0) for (;;) pause();
                made += pid > 0;
            }
            printf("%d\n", made);
            return 0;
        }"#,
    );
    for user in users() {
        for data in (0x9e00..0x9e30).chain([0, 1, 0xffff]) {
            for flags in ["0", "0x800000"] {
                let words = [program.path(), &data.to_string(), flags];
                let ended = penfold(&["pids.max=4"], &words).user(user).run().succeeded();
                let made: u64 = ended.stdout.trim().parse().expect("a number");
                assert!(made <= 3, "{data:#x} {flags}: {made}");
                assert_eq!(ended.number("tasks_created"), 1 + made, "{data:#x} {flags}");
            }
        }
    }
}

#[test]
fn birth_hidden_by_an_outer_listener_is_killed() {
    needs!("cc", "setpriv");
    // a listener of a process outside answers for the job: it was there before penfold
    let outside = program(
        r"
        int main(int argc, char **argv) {
            volatile int *listener = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            CHECK(argc > 1);
            *listener = -1;
            if (syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0) == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (*listener < 0) usleep(1000);
                for (;;) {
                    struct seccomp_notif asked; memset(&asked, 0, sizeof asked);
                    if (ioctl(*listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) { if (errno == ENOENT || errno == EINTR) continue; _exit(0); }
                    struct seccomp_notif_resp answer = {.id = asked.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
                    ioctl(*listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
                }
            }
            int made = install(makers, 3, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
            CHECK(made >= 0);
            *listener = made;
            execvp(argv[1], argv + 1);
            return 99;
        }",
    );
    let inside = CProgram::compile(
        r#"
        int main(void) {
            int made = 0, alive = 0; pid_t pids[12];
            for (int i = 0; i < 12; i++) {
                pid_t pid = fork();
                if (pid == 0) for (;;) pause();
                if (pid > 0) pids[made++] = pid;
            }
            usleep(300000);
            for (int i = 0; i < made; i++) alive += waitpid(pids[i], 0, WNOHANG) == 0;
            printf("%d\n", alive);
            return 0;
        }"#,
    );
    for user in users() {
        let run = penfold::<&str>(&["pids.max=4"], &[inside.path()]).under([outside.path()]).user(user);
        let ended = run.run().succeeded();
        assert_eq!(ended.stdout, "3\n", "{ended:#?}");
        assert!(ended.stderr.contains("was killed at its birth"), "{}", ended.stderr);
    }
}

#[test]
fn undumpable_program_sets_its_affinity() {
    needs!("cc", "setpriv");
    if !two_cpus() {
        return;
    }
    let program = CProgram::compile(
        r"
        static int set(pid_t target, size_t length, unsigned long mask) {
            unsigned long words[32] = { mask };
            return syscall(SYS_sched_setaffinity, target, length, words) == 0 ? 0 : errno;
        }
        static unsigned long got(pid_t target) {
            unsigned long words[32] = { 0 };
            CHECK(syscall(SYS_sched_getaffinity, target, sizeof words, words) > 0);
            return words[0];
        }
        static void ask(pid_t target) {
            CHECK(set(target, 128, 3) == 0 && got(target) == 1);
            CHECK(set(target, 128, 2) == EINVAL && got(target) == 1);
            CHECK(set(target, 128, 1) == 0 && got(target) == 1);
            CHECK(set(target, 256, 3) == 0 && got(target) == 1);
            CHECK(set(target, 1, 1) == 0 && set(target, 1, 2) == EINVAL && got(target) == 1);
            CHECK(set(target, 128, 0) == EINVAL && set(target, 0, 1) == EINVAL && got(target) == 1);
            CHECK(syscall(SYS_sched_setaffinity, target, 128, 8L) == -1 && errno == EFAULT);
        }
        int main(int argc, char **argv) {
            if (argc < 2) CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
            CHECK(argc < 2 || prctl(PR_GET_DUMPABLE) != 1 || geteuid() == 0);
            ask(0);
            ask(getpid());
            pid_t child = fork();
            if (child == 0) for (;;) pause();
            ask(child);
            CHECK(kill(child, SIGKILL) == 0 && waitpid(child, 0, 0) == child);
            CHECK(set(1 << 22, 128, 1) == ESRCH);
            return 0;
        }",
    );
    for user in users() {
        penfold::<&str>(&["cpuset.cpus=0"], &[program.path()]).user(user).run().succeeded();
    }
    // a program whose file can't be read is not dumpable either
    let scratch = TempDir::open_to_all();
    let unreadable = scratch.join("unreadable");
    std::fs::copy(program.path(), &unreadable).expect("copied");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(&unreadable, mode).expect("chmod");
    let words = [unreadable.to_str().expect("text"), "unreadable"];
    for user in users() {
        penfold(&["cpuset.cpus=0"], &words).user(user).run().succeeded();
    }
}

/// A process that shares its memory with another one, for as long as this is held.
struct Sharing(Child);

impl Drop for Sharing {
    fn drop(&mut self) {
        // the other process ends with it (PR_SET_PDEATHSIG)
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn process_that_shares_its_memory_is_not_limited() {
    needs!("cc", "setpriv");
    let program = CProgram::compile(
        r#"
        static char stack[65536];
        static int other(void *none) { (void)none; prctl(PR_SET_PDEATHSIG, SIGKILL); for (;;) pause(); }
        int main(void) {
            CHECK(clone(other, stack + sizeof stack, CLONE_VM | SIGCHLD, 0) > 0);
            /* a child as young as the adoption would be taken for one that was born meanwhile, and adopted too */
            usleep(200000);
            printf("ready\n"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    for user in users() {
        let daemon = TestDaemon::start(user, &["pids"]);
        daemon.run(&["mkdir", "/a"]).succeeded();
        let before: &[&str] = if user == TestUser::Nobody { &AS_NOBODY } else { &["env"] };
        let mut command = Command::new(before[0]);
        command.args(&before[1..]).arg(program.path()).stdout(Stdio::piped());
        let started = command.spawn().expect("it starts");
        let mut sharing = Sharing(started);
        let mut ready = [0; 6];
        let output = sharing.0.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(output, &mut ready).expect("it runs");
        let pid = sharing.0.id().to_string();
        daemon.run(&["attach", "/a", &pid]).succeeded();
        daemon.refuses(&["set", "/a", "pids.max=3"], &[&["shares its memory", "EOPNOTSUPP"]]);
        assert_eq!(daemon.says(&["cat", "/a", "pids.max"]), "max\n", "a refused limit changes nothing");
        // with both under supervision, each gets the filter, which root reads back
        let other =
            penfold_linux::proc::children_of_process(penfold_core::Tid(pid.parse().expect("a number")));
        daemon.run(&["attach", "/a", &other[0].0.to_string()]).succeeded();
        if user == TestUser::Same && penfold_testkit::is_root() {
            daemon.run(&["set", "/a", "pids.max=3"]).succeeded();
        } else {
            // without root the filter can't be read back, and each could overwrite the other's
            daemon.refuses(&["set", "/a", "pids.max=3"], &[&["shares its memory", "EOPNOTSUPP"]]);
        }
    }
}
