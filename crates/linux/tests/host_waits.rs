//! Tasks that do not stop: the request that needs them fails or ends, and no other request waits.

mod common;
mod contained;
mod hosted;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hosted::{HANGING_EXEC, IO_WORKER, TestHost};
use nix::sys::signal::Signal;
use penfold_core::{CgroupId, Tid};
use penfold_linux::trace::{AdoptError, ExecOptions};
use penfold_testkit::{
    CProgram, OutsideProcess,
    proc::{status, threads},
    skip_even_in_ci, wait_until,
};

/// Runs commands in another cgroup while `work` runs. Returns the number of commands, and the longest time of one.
fn meanwhile(hosted: &TestHost, other: CgroupId, work: impl FnOnce()) -> (u32, Duration) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let commands = scope.spawn(|| {
            let (mut count, mut longest) = (0, Duration::ZERO);
            while !over.load(Ordering::Acquire) {
                let began = Instant::now();
                assert_eq!(hosted.exec(other, &["true"], ExecOptions::default()).wait().expect("it runs"), 0);
                assert_eq!(hosted.read(other, "pids.current"), "0");
                longest = longest.max(began.elapsed());
                count += 1;
            }
            (count, longest)
        });
        work();
        over.store(true, Ordering::Release);
        commands.join().expect("all of them ran")
    })
}

#[test]
fn an_io_worker_keeps_nothing_waiting() {
    let program = CProgram::compile(IO_WORKER);
    for arguments in [&[][..], &["poll"][..]] {
        let mut ring = OutsideProcess::orphan(&[&[program.path()], arguments].concat());
        if ring.line() == "none" {
            return skip_even_in_ci("this kernel has no io_uring, or does not permit it");
        }
        wait_until("a worker is there", || threads(ring.pid()).len() > 1);
        let hosted = TestHost::start();
        let (cgroup, other) = (hosted.cgroup("ring"), hosted.cgroup("other"));
        let (commands, _) = meanwhile(&hosted, other, || {
            hosted.host.adopt(Tid(ring.pid())).expect("it can be traced");
            hosted.write(cgroup, "cgroup.procs", ring.pid());
            hosted.write(cgroup, "pids.max", 10);
            // the kernel makes more of them and ends them as it likes
            wait_until("all are members", || {
                let mut all = threads(ring.pid());
                all.sort_unstable();
                hosted.tasks(cgroup) == all && hosted.read(cgroup, "pids.current") == all.len().to_string()
            });
            hosted.write(cgroup, "freezer.state", "FROZEN");
            wait_until("it is frozen", || hosted.read(cgroup, "freezer.state") == "FROZEN");
            hosted.write(cgroup, "freezer.state", "THAWED");
            wait_until("it has the filter", || status(ring.pid(), "Seccomp").as_deref() == Some("2"));
        });
        assert!(commands > 0, "other commands have run meanwhile");
        ring.signal(Signal::SIGKILL as i32);
        wait_until("all tasks are gone", || hosted.read(cgroup, "pids.current") == "0");
    }
}

#[test]
fn exec_that_hangs_fails_its_own_adoption_only() {
    let program = CProgram::compile(HANGING_EXEC);
    let mut hangs = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(hangs.line(), "ready");
    wait_until("it executes", || {
        std::fs::read_to_string(format!("/proc/{}/syscall", hangs.pid()))
            .is_ok_and(|call| call.starts_with("59 "))
            || status(hangs.pid(), "State").is_some_and(|state| state.starts_with('D'))
    });
    let hosted = TestHost::start();
    let other = hosted.cgroup("other");
    let (commands, _) = meanwhile(&hosted, other, || {
        let refused = hosted.host.adopt(Tid(hangs.pid())).expect_err("it does not answer");
        let AdoptError::Unresponsive { pid, tid, .. } = refused else { panic!("{refused}") };
        assert_eq!((pid, tid), (Tid(hangs.pid()), Tid(hangs.pid())));
        assert_eq!(refused.errno(), nix::errno::Errno::EBUSY);
    });
    assert!(commands > 10, "{commands} other commands have run meanwhile");
    assert_eq!(status(hangs.pid(), "TracerPid").as_deref(), Some("0"));
}

#[test]
fn process_that_two_requests_adopt_is_moved_whole() {
    let program = CProgram::compile(
        r#"static void *nap(void *none) { for (;;) pause(); }
        int main(void) {
            pthread_attr_t small; pthread_attr_init(&small); pthread_attr_setstacksize(&small, 65536);
            for (int i = 0; i < 1500; i++) { pthread_t thread; CHECK(pthread_create(&thread, &small, nap, 0) == 0); }
            puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    for _ in 0..3 {
        let mut crowd = OutsideProcess::orphan(&[program.path()]);
        assert_eq!(crowd.line(), "ready");
        let hosted = TestHost::start();
        let cgroup = hosted.cgroup("crowd");
        hosted.write(cgroup, "pids.max", 2000);
        std::thread::scope(|scope| {
            let adopt = || match hosted.host.adopt(Tid(crowd.pid())) {
                Ok(()) | Err(AdoptError::Known(_)) => hosted.write(cgroup, "cgroup.procs", crowd.pid()),
                Err(error) => panic!("{error}"),
            };
            scope.spawn(adopt);
            scope.spawn(adopt);
            // a third request finds the process supervised as soon as its leader is
            scope.spawn(|| {
                let known = || {
                    let control = hosted.host.control();
                    control
                        .with_snapshot(|_, host| host.css_set(Tid(crowd.pid())).is_some())
                        .expect("the host runs")
                };
                wait_until("its leader is supervised", known);
                hosted.write(cgroup, "cgroup.procs", crowd.pid());
            });
        });
        assert_eq!(hosted.tasks(cgroup).len(), 1501);
        assert_eq!(hosted.read(cgroup, "pids.current"), "1501");
        assert_eq!(hosted.tasks(hosted.root), []);
    }
}

#[test]
fn a_vfork_parent_keeps_nothing_waiting() {
    let program = CProgram::compile(
        r#"int main(void) {
            puts("ready"); fflush(stdout);
            if (vfork() == 0) { sleep(3); _exit(0); }
            for (;;) pause();
        }"#,
    );
    let mut parent = OutsideProcess::orphan(&[program.path()]);
    assert_eq!(parent.line(), "ready");
    wait_until("it waits for its child", || {
        status(parent.pid(), "State").is_some_and(|state| state.starts_with('D'))
    });
    let hosted = TestHost::start();
    let (cgroup, other) = (hosted.cgroup("parent"), hosted.cgroup("other"));
    let (commands, _) = meanwhile(&hosted, other, || {
        hosted.host.adopt(Tid(parent.pid())).expect("it can be traced");
        hosted.write(cgroup, "tasks", parent.pid());
        hosted.write(cgroup, "pids.max", 1);
        hosted.write(cgroup, "freezer.state", "FROZEN");
        assert_eq!(hosted.read(cgroup, "freezer.state"), "FROZEN");
        hosted.write(cgroup, "freezer.state", "THAWED");
        assert_eq!(hosted.read(cgroup, "pids.current"), "1");
    });
    assert!(commands > 0, "other commands have run meanwhile");
    wait_until("it has the filter when it comes out", || {
        status(parent.pid(), "Seccomp").as_deref() == Some("2")
    });
}
