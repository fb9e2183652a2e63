//! Members of a daemon's cgroups that do not answer a tracer: kernel workers, and processes whose leader has ended.

mod common;

use common::{TestDaemon, TestUser};
use penfold_testkit::{
    CProgram, OutsideProcess, has_program,
    proc::{status, threads},
    skip, skip_even_in_ci, wait_until,
};

/// Two threads, of which the first ends.
const LEADERLESS: &str = "
static void *second(void *none) { for (;;) pause(); }
int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, 0, second, 0) == 0);
    puts(\"ready\"); fflush(stdout);
    syscall(SYS_exit, 0);
}";

#[test]
fn process_without_leader_is_attached_by_any_number() {
    let program = CProgram::compile(LEADERLESS);
    let daemon = TestDaemon::start(TestUser::Same, &["pids,freezer"]);
    daemon.says(&["mkdir", "/process", "/thread"]);
    for (cgroup, by_thread) in [("/process", false), ("/thread", true)] {
        let mut process = OutsideProcess::orphan(&[program.path()]);
        assert_eq!(process.line(), "ready");
        let pid = process.pid();
        wait_until("its leader has ended", || status(pid, "State").is_some_and(|line| line.starts_with('Z')));
        let thread = threads(pid).into_iter().find(|tid| *tid != pid).expect("a second thread");
        if by_thread {
            daemon.says(&["attach", "--threads", cgroup, &thread.to_string()]);
        } else {
            daemon.says(&["attach", cgroup, &pid.to_string()]);
        }
        let file = |name: &str| daemon.says(&["cat", &format!("{cgroup}/{name}")]);
        assert_eq!(file("tasks"), format!("{thread}\n"));
        assert_eq!(file("cgroup.procs"), format!("{pid}\n"));
        assert_eq!(file("pids.current"), "1\n");
        daemon.says(&["freeze", "--wait", cgroup]);
        wait_until("it stands", || status(thread, "State").is_some_and(|line| line.starts_with('t')));
        daemon.says(&["thaw", cgroup]);
        wait_until("it goes on", || status(thread, "State").is_some_and(|line| line.starts_with('S')));
    }
}

/// A program of node that has read a file and sleeps.
const NODE: &str = "
const fs = require('fs');
require('child_process').execSync('true');
for (let i = 0; i < 4; i++) fs.promises.readFile('/etc/passwd').then(() => {});
setTimeout(() => { console.log('ready'); }, 300);
setTimeout(() => {}, 60000);";

#[test]
fn node_with_io_uring_keeps_no_client_waiting() {
    if !has_program("node") {
        return skip("node is not here");
    }
    let daemon = TestDaemon::start(TestUser::Same, &["pids,freezer"]);
    daemon.says(&["mkdir", "/node", "/other"]);
    let mut node = OutsideProcess::orphan(&["env", "UV_USE_IO_URING=1", "node", "-e", NODE]);
    assert_eq!(node.line(), "ready");
    let pid = node.pid();
    if !threads(pid).into_iter().any(|tid| penfold_testkit::proc::command(tid).starts_with("iou-")) {
        return skip_even_in_ci("this node makes no ring");
    }
    daemon.says(&["attach", "/node", &pid.to_string()]);
    daemon.says(&["set", "/node", "pids.max=30"]);
    daemon.says(&["freeze", "--wait", "/node"]);
    daemon.says(&["exec", "/other", "--", "true"]);
    daemon.says(&["thaw", "/node"]);
    wait_until("all its threads are members", || {
        daemon.says(&["cat", "/node/pids.current"]).trim() == threads(pid).len().to_string()
    });
    assert_eq!(daemon.says(&["cat", "/other/pids.current"]), "0\n");
}
