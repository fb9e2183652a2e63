//! Processes of an earlier host, and processes that change while they are adopted.

mod common;
mod contained;
mod hosted;

use hosted::{FORKER, TestHost, ready, tell};
use nix::sys::signal::Signal;
use penfold_core::Tid;
use penfold_linux::trace::{AdoptError, AtEnd, ExecOptions, TracedCalls};
use penfold_testkit::{
    CProgram, OutsideProcess,
    proc::{self, status},
    wait_until,
};

#[test]
fn process_is_readopted_with_its_earlier_filter() {
    let earlier = TestHost::start();
    let cgroup = earlier.cgroup("limited");
    earlier.write(cgroup, "pids.max", 3);
    let mut forker = ready(FORKER);
    earlier.host.adopt(Tid(forker.pid())).expect("it can be traced");
    earlier.write(cgroup, "tasks", forker.pid());
    assert_eq!(tell(&mut forker), "2 EAGAIN");
    let place = earlier.cgroup("launched");
    earlier.write(place, "pids.max", 100);
    earlier.write(place, "cpuset.cpus", 0);
    let launched =
        earlier.exec(place, &["sleep", "100"], ExecOptions { exit_kill: false, ..ExecOptions::default() });
    let told = earlier.host.tasks().expect("the host runs");
    let find = |pid: i32| *told.iter().find(|task| task.tid == Tid(pid)).expect("it is supervised");
    let (known, job) = (find(forker.pid()), find(launched.pid().0));
    assert_eq!(told.len(), 4);
    assert!(known.adopted && !job.adopted);
    assert_eq!(known.filter, Some(TracedCalls { fork: true, affinity: false, sockets: false }));
    assert!(job.filter.is_some_and(|filter| filter.fork && filter.affinity));
    assert_eq!(known.group, Tid(forker.pid()));
    let path = earlier
        .host
        .control()
        .request(move |engine, _| engine.proc_pid_cgroup(Some(known.css_set)).expect("it has members"))
        .expect("the host runs");
    assert!(String::from_utf8_lossy(&path).contains("/limited"));
    earlier.host.stop(AtEnd::Leave).expect("not stopped before");
    assert_eq!(tell(&mut forker), "0 ENOSYS");

    let later = TestHost::start();
    let cgroup = later.cgroup("limited");
    later.write(cgroup, "pids.max", 4);
    let filter = known.filter.expect("asserted above");
    let wrong = later.host.adopt_filtered(Tid(forker.pid()), known.start_time + 1, filter);
    assert_eq!(wrong, Err(AdoptError::NoProcess(Tid(forker.pid()))));
    assert_eq!(later.host.adopt_started(Tid(forker.pid()), 1), Err(AdoptError::NoProcess(Tid(forker.pid()))));
    assert_eq!(status(forker.pid(), "TracerPid").as_deref(), Some("0"));
    assert_eq!(tell(&mut forker), "0 ENOSYS", "nobody has taken it in");
    later.host.adopt_filtered(Tid(forker.pid()), known.start_time, filter).expect("it is the same");
    later.write(cgroup, "tasks", forker.pid());
    assert_eq!(tell(&mut forker), "3 EAGAIN");
    assert_eq!(later.read(cgroup, "pids.events"), "max 1");
    assert_eq!(status(forker.pid(), "Seccomp_filters").as_deref(), Some("1"), "it needs no second one");
    later
        .host
        .adopt_filtered(job.tid, job.start_time, job.filter.expect("asserted above"))
        .expect("it lives");
    assert!(later.tasks(later.root).contains(&job.tid.0));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(job.tid.0), Signal::SIGKILL).expect("it lives");
    wait_until("it is gone", || !later.tasks(later.root).contains(&job.tid.0));
}

#[test]
fn process_that_keeps_executing_is_adopted_whole() {
    // Four threads, of which one that is not the leader executes the same program again.
    let program = CProgram::compile(
        r#"
        static void *nap(void *none) { for (;;) pause(); }
        static void *again(void *path) {
            usleep(1000 + rand() % 2000);
            execl(path, path, "again", NULL);
            _exit(1);
        }
        int main(int argc, char **argv) {
            srand(getpid() ^ clock());
            pthread_t made;
            for (int i = 0; i < 2; i++) pthread_create(&made, 0, nap, 0);
            pthread_create(&made, 0, again, argv[0]);
            if (argc == 1) { alarm(60); puts("ready"); fflush(stdout); }
            for (;;) pause();
        }"#,
    );
    for _ in 0..20 {
        let hosted = TestHost::start();
        let cgroup = hosted.cgroup("limited");
        hosted.write(cgroup, "pids.max", 100);
        let mut outside = OutsideProcess::orphan(&[program.path()]);
        assert_eq!(outside.line(), "ready");
        hosted.host.adopt(Tid(outside.pid())).expect("it can be traced");
        hosted.write(cgroup, "cgroup.procs", outside.pid());
        wait_until("all its threads are members, with their filter", || {
            let threads = proc::threads(outside.pid());
            let members = hosted.tasks(cgroup);
            threads.len() == 4
                && threads.iter().all(|tid| members.contains(tid))
                && threads.iter().all(|tid| status(*tid, "Seccomp").as_deref() == Some("2"))
        });
        assert_eq!(hosted.read(hosted.root, "tasks"), "", "nobody is left behind");
    }
}

/// A thread that executes a program is the leader from then on. The supervisor sees that later.
#[test]
fn move_during_a_threads_exec_is_not_lost() {
    let program = CProgram::compile(
        r#"
        static void *again(void *path) {
            sigset_t set; int signal;
            sigemptyset(&set); sigaddset(&set, SIGUSR1);
            sigwait(&set, &signal);
            execl(path, path, "again", NULL);
            _exit(1);
        }
        int main(int argc, char **argv) {
            sigset_t set; pthread_t made;
            sigemptyset(&set); sigaddset(&set, SIGUSR1); sigprocmask(SIG_BLOCK, &set, 0);
            if (argc == 1) pthread_create(&made, 0, again, argv[0]);
            puts(argc == 1 ? "ready" : "again"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("here");
    let mut outside = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(outside.line(), "ready");
    let pid = outside.pid();
    hosted.host.adopt(Tid(pid)).expect("it can be traced");
    // a thread with a stop still to come would be held up as long as the supervisor is kept below
    let waits = |tid: &i32| status(*tid, "State").is_some_and(|state| state.starts_with('S'));
    wait_until("its threads wait for the signal", || proc::threads(pid).iter().all(waits));
    let moved = hosted.host.control().with_exact(move |engine, host| {
        // the supervisor sees no event of the process before this request ends
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGUSR1).expect("it lives");
        wait_until("its thread has taken the leader's number", || proc::threads(pid) == [pid]);
        let file = engine.find_file(cgroup, "cgroup.procs").expect("the file is there");
        engine.session(host, &contained::owner()).write(cgroup, file, pid.to_string().as_bytes())
    });
    moved.expect("the host runs").expect("it may move");
    assert_eq!(outside.line(), "again");
    assert_eq!((hosted.tasks(cgroup), hosted.tasks(hosted.root)), (vec![pid], vec![]));
}
