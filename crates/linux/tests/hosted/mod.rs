//! A daemon's host with an engine and all controllers, and processes that it did not start.
#![allow(dead_code, missing_docs, unreachable_pub)] // each test file uses its part

use nix::sys::signal::Signal;
use penfold_core::{CgroupId, Engine, Errno, Error, host::Host};
use penfold_linux::trace::{self, AtEnd, ExecOptions, JobBuilder, TraceHost, TracedCommand};
use penfold_testkit::OutsideProcess;

use crate::contained::{owner, read};

/// A host with everything mounted together.
pub struct TestHost {
    pub host: TraceHost,
    pub root: CgroupId,
}

impl TestHost {
    pub fn start() -> TestHost {
        TestHost::start_with(penfold_subsystems::load_all)
    }

    /// As [`TestHost::start`], also with the controllers that are modules.
    pub fn start_with_modules() -> TestHost {
        TestHost::start_with(penfold_subsystems::load_tree)
    }

    fn start_with(load: fn(&mut Engine, &mut dyn Host) -> penfold_core::Result<()>) -> TestHost {
        let mut builder = JobBuilder::new(false);
        let (engine, host) = builder.parts();
        load(engine, host).expect("all controllers load");
        let root = engine.session(host, &owner()).mount("all,clone_children").expect("they mount").root;
        TestHost { host: TraceHost::start(builder).expect("the host starts"), root }
    }

    pub fn cgroup(&self, name: &'static str) -> CgroupId {
        let root = self.root;
        let made = self.host.control().with_exact(move |engine, host| {
            engine.session(host, &owner()).mkdir(root, name.as_bytes(), 0o755)
        });
        made.expect("the host runs").expect("a cgroup")
    }

    pub fn read(&self, cgroup: CgroupId, name: &'static str) -> String {
        let read = self.host.control().with_exact(move |engine, host| read(engine, host, cgroup, name));
        read.expect("the host runs")
    }

    /// All tasks of a cgroup.
    pub fn tasks(&self, cgroup: CgroupId) -> Vec<i32> {
        self.read(cgroup, "tasks").lines().map(|line| line.parse().expect("a task id")).collect()
    }

    pub fn try_write(&self, cgroup: CgroupId, name: &'static str, value: impl ToString) -> Result<(), Error> {
        let value = value.to_string();
        let written = self.host.control().with_exact(move |engine, host| {
            let file = engine.find_file(cgroup, name).expect("the file is there");
            engine.session(host, &owner()).write(cgroup, file, value.as_bytes())
        });
        written.expect("the host runs")
    }

    pub fn write(&self, cgroup: CgroupId, name: &'static str, value: impl ToString) {
        self.try_write(cgroup, name, value).expect("it is taken");
    }

    pub fn refused(&self, cgroup: CgroupId, name: &'static str, value: impl ToString) -> (Errno, String) {
        let error = self.try_write(cgroup, name, value).expect_err("it is refused");
        (error.errno(), error.to_string())
    }

    pub fn exec<S: AsRef<str>>(&self, cgroup: CgroupId, argv: &[S], options: ExecOptions) -> TracedCommand {
        let command = trace::Command::new(argv.iter().map(AsRef::as_ref));
        self.host.exec(command, [cgroup], options).expect("it starts")
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        // a test may have stopped the host
        let _ = self.host.stop(AtEnd::Kill);
    }
}

pub const PYTHON: &str = "/usr/bin/python3";

/// A program that forks at each USR1 until it is refused, or fifty times, and prints how often and why it stopped.
pub const FORKER: &str = "
import errno, os, signal, sys, time
def fill(*_):
    made, why = 0, 'enough'
    while made < 50:
        try:
            if os.fork() == 0:
                signal.signal(signal.SIGUSR1, signal.SIG_DFL); time.sleep(100); os._exit(0)
            made += 1
        except OSError as error:
            why = errno.errorcode[error.errno]; break
    print(made, why, flush=True)
signal.signal(signal.SIGUSR1, fill)
signal.alarm(60)
print('ready', flush=True)
while True: time.sleep(0.02)";

/// A program with a read for which an io worker of the kernel waits. With `poll` a polling thread of the kernel
/// submits the read. Then the program sleeps. At USR1 it executes `sleep`, or closes its ring, forks once and returns 7
/// if it could, with `exec` or `fork` as the second argument.
pub const IO_WORKER: &str = r#"
#include <linux/io_uring.h>
static volatile int asked;
static void ask(int signal) { asked = 1; }
int main(int argc, char **argv) {
    signal(SIGUSR1, ask);
    struct io_uring_params p = { .flags = argc > 1 ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = 60000 };
    int fd = syscall(SYS_io_uring_setup, 8, &p);
    if (fd < 0) { puts("none"); return 0; }
    char *ring = mmap(0, p.sq_off.array + p.sq_entries * 4, 3, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(0, p.sq_entries * sizeof *entries, 3, MAP_SHARED | MAP_POPULATE, fd,
        IORING_OFF_SQES);
    int ends[2]; static char buffer[1];
    CHECK(pipe(ends) == 0);
    *entries = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = ends[0],
        .addr = (uintptr_t)buffer, .len = 1 };
    ((unsigned *)(ring + p.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(ring + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    CHECK(syscall(SYS_io_uring_enter, fd, 1, 0, 0, 0, 0) == 1);
    puts("ready"); fflush(stdout);
    for (int i = 0; i < 6000 && !asked; i++) usleep(10000);
    if (argc > 2 && !strcmp(argv[2], "exec")) execlp("sleep", "sleep", "60", (char *)0);
    if (argc > 2) {
        char list[64]; struct stat tasks; int before;
        snprintf(list, sizeof list, "/proc/%d/task", getpid());
        stat(list, &tasks); before = tasks.st_nlink;
        close(fd); munmap(ring, p.sq_off.array + p.sq_entries * 4); munmap(entries, p.sq_entries * sizeof *entries);
        close(ends[1]); close(ends[0]);
        for (int i = 0; i < 1000 && tasks.st_nlink >= before; i++) { usleep(10000); stat(list, &tasks); }
        pid_t child = fork();
        if (child == 0) _exit(0);
        if (child < 0) return 6;
        waitpid(child, 0, 0);
        return 7;
    }
    return 0;
}"#;

/// A program that executes another while a process traces its second thread and never waits for its death. Such an exec
/// does not end, and a seize of the process waits for it.
pub const HANGING_EXEC: &str = r#"
static volatile pid_t second;
static void *nap(void *none) { second = syscall(SYS_gettid); for (;;) pause(); }
int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, 0, nap, 0) == 0);
    while (!second) usleep(1000);
    int ends[2]; char byte;
    CHECK(pipe(ends) == 0);
    if (fork() == 0) {
        CHECK(ptrace(PTRACE_SEIZE, second, 0, 0) == 0);
        CHECK(write(ends[1], "", 1) == 1);
        puts("ready"); fflush(stdout);
        for (;;) pause();
    }
    CHECK(read(ends[0], &byte, 1) == 1);
    execlp("sleep", "sleep", "100", (char *)0);
    return 1;
}"#;

/// Starts a Python program, an orphan, and waits until it prints that it is ready.
pub fn ready(program: &str) -> OutsideProcess {
    let mut outside = OutsideProcess::orphan(&[PYTHON, "-c", program]);
    assert_eq!(outside.line(), "ready");
    outside
}

/// Sends USR1, and returns the line that the program prints for it.
pub fn tell(outside: &mut OutsideProcess) -> String {
    outside.signal(Signal::SIGUSR1 as i32);
    outside.line()
}
