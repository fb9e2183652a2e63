//! Processes in states in which they do not answer their tracer. Every request about one ends. The operations of another
//! cgroup go on as if that process did not exist.

mod common;
mod contained;
mod hosted;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hosted::{HANGING_EXEC, IO_WORKER, TestHost};
use nix::sys::signal::Signal;
use penfold_core::{CgroupId, Tid};
use penfold_linux::trace::ExecOptions;
use penfold_testkit::{
    CProgram, OutsideProcess, TempDir, is_root,
    proc::{status, threads},
    skip, skip_even_in_ci, wait_until,
};

/// The time in which an operation of another cgroup ends: the promise of the page about the host.
const PROMISE: Duration = Duration::from_millis(100);
/// The time after which a request counts as stuck, on a machine in use.
const STUCK: Duration = Duration::from_secs(15);

/// The operations of another cgroup: a command, a limit, a read, and the attach of a process that runs already. Returns
/// the time that they took together.
fn operations(hosted: &TestHost, other: CgroupId) -> Duration {
    let sleeper = OutsideProcess::orphan(&["sleep", "100"]);
    let began = Instant::now();
    assert_eq!(hosted.exec(other, &["true"], ExecOptions::default()).wait().expect("it runs"), 0);
    hosted.write(other, "pids.max", 5);
    hosted.host.adopt(Tid(sleeper.pid())).expect("it can be traced");
    hosted.write(other, "cgroup.procs", sleeper.pid());
    assert_eq!(hosted.read(other, "pids.current"), "1");
    let took = began.elapsed();
    sleeper.signal(Signal::SIGKILL as i32);
    drop(sleeper);
    wait_until("the process is gone", || hosted.read(other, "pids.current") == "0");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Makes every request about a process, whatever its answer.
fn request_everything(hosted: &TestHost, [cgroup, next]: [CgroupId; 2], pid: i32) {
    let timed = |what: &str, request: &dyn Fn()| {
        let began = Instant::now();
        request();
        assert!(began.elapsed() < STUCK, "{what} took {:?}", began.elapsed());
    };
    let adopt = || drop(hosted.host.adopt(Tid(pid)));
    let procs = |cgroup| drop(hosted.try_write(cgroup, "cgroup.procs", pid));
    let state = |cgroup, state: &str| drop(hosted.try_write(cgroup, "freezer.state", state));
    timed("attach", &adopt);
    timed("move", &|| procs(cgroup));
    timed("freeze", &|| state(cgroup, "FROZEN"));
    if !hosted.tasks(cgroup).is_empty() {
        wait_until("it is frozen", || hosted.read(cgroup, "freezer.state") == "FROZEN");
    }
    timed("thaw", &|| state(cgroup, "THAWED"));
    timed("release", &|| {
        let _ = hosted.host.detach(Tid(pid));
    });
    timed("attach again", &adopt);
    timed("move again", &|| procs(cgroup));
    timed("limit", &|| drop(hosted.try_write(cgroup, "pids.max", 10)));
    timed("freeze when limited", &|| state(cgroup, "FROZEN"));
    timed("thaw when limited", &|| state(cgroup, "THAWED"));
    timed("move to another cgroup", &|| procs(next));
    timed("read", &|| drop(hosted.read(next, "pids.current")));
    timed("kill", &|| {
        // ESRCH: it was never supervised
        let _ = hosted.host.control().request(|_, host| host.signal(Tid(pid), Signal::SIGKILL as i32));
    });
}

/// Makes every request about a process in an odd state while another cgroup is used. Compares the time of that use with
/// one on the same host before.
fn others_go_on_beside(pid: i32) {
    let hosted = TestHost::start();
    let (cgroups, other) = ([hosted.cgroup("odd"), hosted.cgroup("next")], hosted.cgroup("other"));
    let idle = median((0..5).map(|_| operations(&hosted, other)).collect());
    let over = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        let beside = scope.spawn(|| {
            let mut times = Vec::new();
            while times.len() < 5 || !over.load(Ordering::Acquire) {
                times.push(operations(&hosted, other));
            }
            times
        });
        request_everything(&hosted, cgroups, pid);
        over.store(true, Ordering::Release);
        beside.join().expect("all of them ended")
    });
    let worst = times.iter().max().copied().unwrap_or_default();
    let beside = median(times);
    println!("idle {idle:?}, beside {beside:?}, worst {worst:?}");
    // a machine that is slow without the odd process proves nothing about it
    assert!(beside < PROMISE.max(idle * 5), "{beside:?} beside it, {idle:?} before");
    assert!(worst < STUCK, "{worst:?}");
}

fn starts_with(pid: i32, state: char) -> bool {
    status(pid, "State").is_some_and(|line| line.starts_with(state))
}

/// A program with one of several odd states.
const ODD: &str = r#"
static void *nap(void *none) { for (;;) pause(); }
static int is(const char *name, char **argv) { return !strcmp(argv[1], name); }
int main(int argc, char **argv) {
    pthread_t thread;
    puts("ready"); fflush(stdout);
    if (is("vfork", argv)) { if (vfork() == 0) { sleep(60); _exit(0); } }
    if (is("stopped", argv)) raise(SIGSTOP);
    CHECK(pthread_create(&thread, 0, nap, 0) == 0);
    if (is("leaderless", argv)) syscall(SYS_exit, 0);
    for (;;) pause();
}"#;

fn odd(program: &CProgram, state: &str, letter: char) -> OutsideProcess {
    let mut process = OutsideProcess::orphan(&[program.path(), state]);
    assert_eq!(process.line(), "ready");
    wait_until("it is in its state", || starts_with(process.pid(), letter));
    process
}

#[test]
fn others_go_on_beside_a_vfork_parent() {
    let program = CProgram::compile(ODD);
    others_go_on_beside(odd(&program, "vfork", 'D').pid());
}

#[test]
fn others_go_on_beside_a_stopped_process() {
    let program = CProgram::compile(ODD);
    others_go_on_beside(odd(&program, "stopped", 'T').pid());
}

#[test]
fn others_go_on_beside_a_process_without_leader() {
    let program = CProgram::compile(ODD);
    others_go_on_beside(odd(&program, "leaderless", 'Z').pid());
}

#[test]
fn others_go_on_beside_a_zombie() {
    let zombie =
        OutsideProcess::child(std::process::Command::new("true").stdout(std::process::Stdio::null()));
    wait_until("it is a zombie", || starts_with(zombie.pid(), 'Z'));
    others_go_on_beside(zombie.pid());
}

#[test]
fn others_go_on_beside_an_exec_that_hangs() {
    let program = CProgram::compile(HANGING_EXEC);
    let mut hangs = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(hangs.line(), "ready");
    others_go_on_beside(hangs.pid());
}

#[test]
fn others_go_on_beside_io_workers() {
    let program = CProgram::compile(IO_WORKER);
    let mut ring = OutsideProcess::orphan(&[program.path(), "poll"]);
    if ring.line() == "none" {
        return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
    }
    wait_until("workers are there", || threads(ring.pid()).len() > 1);
    others_go_on_beside(ring.pid());
}

/// A program that mounts a file system without answers in a mount namespace of its own. A child serves it, and answers
/// as much as the state needs:
///
/// - `wait`: the process waits for a file's attributes.
/// - `dump`: it waits for the creation of its core file, in the core dump.
/// - `end`: it has ended, its memory is gone, and it waits for the end of a file's use.
const UNANSWERED: &str = r#"
#define _GNU_SOURCE
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
static void *nap(void *none) { for (;;) pause(); }
static void answer(int fuse, uint64_t unique, int error, void *body, size_t size) {
    static char bytes[4096];
    struct fuse_out_header head = { .len = sizeof head + size, .error = error, .unique = unique };
    memcpy(bytes, &head, sizeof head); memcpy(bytes + sizeof head, body, size);
    CHECK(write(fuse, bytes, head.len) == (ssize_t)head.len);
}
static void serve(int fuse, int opens) {
    static char bytes[1 << 17];
    for (;;) {
        if (read(fuse, bytes, sizeof bytes) <= 0) { if (errno == EINTR) continue; _exit(0); }
        struct fuse_in_header *in = (void *)bytes;
        struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
        struct fuse_entry_out entry = { .nodeid = 2, .entry_valid = 1000, .attr_valid = 1000,
            .attr = { .ino = 2, .mode = S_IFREG | 0666, .nlink = 1 } };
        struct fuse_open_out open = { .fh = 1 };
        if (in->opcode == FUSE_INIT) answer(fuse, in->unique, 0, &init, sizeof init);
        else if (in->opcode == FUSE_ACCESS) answer(fuse, in->unique, -ENOSYS, 0, 0);
        else if (opens && in->opcode == FUSE_LOOKUP) answer(fuse, in->unique, 0, &entry, sizeof entry);
        else if (opens && in->opcode == FUSE_OPEN) answer(fuse, in->unique, 0, &open, sizeof open);
    }
}
int main(int argc, char **argv) {
    char options[100], path[4096]; struct stat attributes; pthread_t thread;
    int fuse = open("/dev/fuse", O_RDWR), end = !strcmp(argv[1], "end");
    snprintf(options, sizeof options, "fd=%d,rootmode=40777,user_id=0,group_id=0", fuse);
    if (fuse < 0 || unshare(CLONE_NEWNS) || mount("", "/", 0, MS_REC | MS_PRIVATE, 0)
        || mount("unanswered", argv[2], "fuse", 0, options)) { puts("none"); return 0; }
    if (fork() == 0) serve(fuse, end);
    close(fuse);
    snprintf(path, sizeof path, "%s/file", argv[2]);
    if (!strcmp(argv[1], "dump")) {
        struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
        CHECK(chdir(argv[2]) == 0 && setrlimit(RLIMIT_CORE, &all) == 0);
        CHECK(pthread_create(&thread, 0, nap, 0) == 0);
        puts("ready"); fflush(stdout);
        abort();
    }
    if (end) { CHECK(open(path, O_RDONLY) >= 0); puts("ready"); fflush(stdout); _exit(0); }
    puts("ready"); fflush(stdout);
    stat(path, &attributes);
    for (;;) pause();
}"#;

fn beside_unanswered(state: &str, reached: impl Fn(i32) -> bool) {
    if !is_root() {
        return skip("mounts a file system, which takes root");
    }
    let directory = TempDir::new();
    let program = CProgram::compile(UNANSWERED);
    let mut process = OutsideProcess::orphan(&[program.path(), state, &directory.path().to_string_lossy()]);
    if process.line() == "none" {
        return skip_even_in_ci("FUSE can't be mounted here");
    }
    wait_until("it is in its state", || reached(process.pid()));
    others_go_on_beside(process.pid());
}

#[test]
fn others_go_on_beside_a_wait_for_a_dead_server() {
    // stat(2) or newfstatat(2), as processors number them
    let calls = ["4 ", "262 ", "79 "];
    beside_unanswered("wait", |pid| {
        std::fs::read_to_string(format!("/proc/{pid}/syscall"))
            .is_ok_and(|call| calls.iter().any(|number| call.starts_with(number)))
    });
}

#[test]
fn others_go_on_beside_a_core_dump() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.trim() != "core" {
        return skip_even_in_ci("core dumps are not written to the working directory here");
    }
    beside_unanswered("dump", |pid| status(pid, "CoreDumping").as_deref() == Some("1"));
}

#[test]
fn others_go_on_beside_an_end_without_memory() {
    beside_unanswered("end", |pid| status(pid, "State").is_some() && status(pid, "VmSize").is_none());
}
