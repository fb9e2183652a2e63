//! No user keeps others from the daemon: turns, quotas, and deep trees.

mod common;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{HostKind, InProcessDaemon, NOBODY, on_each_host};
use penfold_server::connection::CallError;
use penfold_server::control::Limits;
use penfold_server::protocol::{
    EnvironmentInfo, ExecCall, ListCall, MkdirCall, RmdirCall, SetOwnerCall, UsageCall, WriteCall,
};
use penfold_testkit::{is_root, skip, wait_until};

on_each_host! {
    long_answers_show_every_cgroup_once,
    mkdir_beyond_the_quota_is_edquot,
    restored_cgroups_count_for_the_quota,
    deepest_path_is_made_and_one_more_name_refused,
}

/// Connections of another user that make one call again and again. A byte on the output stands for each answer.
const LOAD: &str = r"
import os, socket, sys
path, call, connections = sys.argv[1], sys.argv[2].encode() + b'\0', int(sys.argv[3])
for _ in range(connections):
    if os.fork() == 0:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        while True:
            s.sendall(call)
            end = b''
            while not end.endswith(b'\0'):
                end = s.recv(1 << 20)
                if not end: os._exit(0)
            try: os.write(1, b'.')
            except OSError: os._exit(0)
for _ in range(connections): os.wait()
";

/// A load that is killed at the end.
struct Load {
    child: Child,
    log: std::path::PathBuf,
}

impl Load {
    fn start(daemon: &InProcessDaemon, method: &str, parameters: &str, connections: usize) -> Load {
        let log = daemon.directory.join("answers");
        let out = std::fs::File::create(&log).expect("a file");
        let call = format!(r#"{{"method":"org.penfold.Control.{method}","parameters":{parameters}}}"#);
        let child = Command::new("python3")
            .args(["-c", LOAD])
            .arg(daemon.socket())
            .args([call, connections.to_string()])
            .stdout(Stdio::from(out))
            .uid(NOBODY)
            .gid(NOBODY)
            .process_group(0)
            .spawn()
            .expect("python3");
        let load = Load { child, log };
        wait_until("the load runs", || load.answers() > 0);
        load
    }

    fn answers(&self) -> u64 {
        self.log.metadata().expect("a file").len()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn fill(daemon: &InProcessDaemon, top: &str, count: usize) {
    let mut connection = daemon.connect();
    for n in 0..count {
        let cgroup = format!("{top}/{}/{n}", n / 100);
        connection.call(&MkdirCall { cgroup, parents: Some(true), ..MkdirCall::default() }).expect("mkdir");
    }
}

/// The longest time of a write of a limit, and of a command with ten forks, by the administrator.
fn slowest(daemon: &InProcessDaemon) -> Duration {
    let mut connection = daemon.connect();
    let mut longest = Duration::ZERO;
    for round in 0..5 {
        let began = Instant::now();
        let (cgroup, file, content) = ("/own".into(), "pids.max".into(), (100 + round).to_string());
        connection.call(&WriteCall { cgroup, file, content }).expect("a write");
        let exec = ExecCall {
            cgroups: vec!["/own".into()],
            command: ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do (:) & done; wait"]
                .map(str::to_owned)
                .into(),
            environment: vec![EnvironmentInfo { name: "PATH".into(), value: "/usr/bin:/bin".into() }],
            ..ExecCall::default()
        };
        let replies = connection.call_more(&exec, &[]).expect("sent");
        assert_eq!(replies.last().expect("a reply").expect("a command").status, Some(0));
        longest = longest.max(began.elapsed());
    }
    longest
}

fn loaded_daemon() -> Option<InProcessDaemon> {
    if !is_root() {
        skip("root is needed to be another user");
        return None;
    }
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/own");
    Some(daemon)
}

/// Far above the time that turns take, far below that of sixteen whole answers in debug.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn recursive_usage_of_one_user_delays_no_other() {
    let Some(daemon) = loaded_daemon() else { return };
    daemon.mkdir("/many");
    fill(&daemon, "/many", 20_000);
    let _load = Load::start(&daemon, "Usage", r#"{"cgroup":"/","recursive":true}"#, 16);
    let longest = slowest(&daemon);
    assert!(longest < BOUND, "{longest:?}");
}

#[test]
fn two_hundred_connections_of_a_user_delay_no_other() {
    let Some(daemon) = loaded_daemon() else { return };
    let load = Load::start(&daemon, "Read", r#"{"cgroup":"/","file":"tasks"}"#, 200);
    let longest = slowest(&daemon);
    assert!(longest < BOUND, "{longest:?}");
    let before = load.answers();
    wait_until("the load goes on", || load.answers() > before);
}

fn long_answers_show_every_cgroup_once(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/many");
    fill(&daemon, "/many", 1500);
    let mut names = daemon.names("/many");
    let count = 1 + 15 + 1500;
    assert_eq!(names.len(), count);
    let usage = daemon.call(&UsageCall { cgroup: "/many".into(), recursive: Some(true) });
    let shown: Vec<&str> =
        usage.usages.iter().map(|usage| usage.cgroup.split_once(':').expect("an address").1).collect();
    assert_eq!(shown, names, "both are in the order of the tree");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    daemon.call(&RmdirCall { cgroup: "/many".into(), recursive: Some(true) });
    assert_eq!(daemon.names("/"), ["/"]);
}

fn mkdir_beyond_the_quota_is_edquot(host: HostKind) {
    if !is_root() {
        return skip("root is needed to be another user");
    }
    let daemon = InProcessDaemon::with(host, Limits { cgroups_of_user: 2, ..Limits::default() });
    daemon.mkdir("/theirs");
    daemon.give("/theirs", NOBODY);
    let mkdir = |name: &str| daemon.as_user(NOBODY, "Mkdir", &format!(r#"{{"cgroup":"/theirs/{name}"}}"#));
    assert!(!mkdir("a").contains("error") && !mkdir("b").contains("error"));
    let refused = mkdir("c");
    assert!(refused.contains("EDQUOT") && refused.contains("/theirs/c"), "{refused}");
    for name in ["/x", "/y", "/z"] {
        daemon.mkdir(name);
    }
    daemon.call(&RmdirCall { cgroup: "/theirs/a".into(), ..RmdirCall::default() });
    assert!(!mkdir("c").contains("error"));
}

fn restored_cgroups_count_for_the_quota(host: HostKind) {
    if !is_root() {
        return skip("root is needed to be another user");
    }
    let mut daemon = InProcessDaemon::keeping(host);
    daemon.call(&penfold_server::protocol::MountCall { options: "pids".into(), ..Default::default() });
    daemon.mkdir("/theirs");
    daemon.give("/theirs", NOBODY);
    for name in ["a", "b"] {
        daemon.as_user(NOBODY, "Mkdir", &format!(r#"{{"cgroup":"/theirs/{name}"}}"#));
    }
    let made = |daemon: &InProcessDaemon| {
        daemon.running().service().with_snapshot(|engine, _| engine.tree().made_by(NOBODY)).expect("it runs")
    };
    assert_eq!(made(&daemon), 2);
    daemon.stop();
    daemon.begin(host);
    assert_eq!(made(&daemon), 2);
}

fn deepest_path_is_made_and_one_more_name_refused(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let deepest = "/d".repeat(2048);
    let make =
        |cgroup: String| daemon.try_call(&MkdirCall { cgroup, parents: Some(true), ..MkdirCall::default() });
    make(deepest.clone()).expect("2048 names");
    match make(format!("{deepest}/d")) {
        Err(CallError::Refused(failure)) => assert_eq!(failure.errno_name(), "ENAMETOOLONG"),
        other => panic!("{other:?}"),
    }
    let call = ListCall { cgroup: "/d".into(), recursive: Some(true), ..ListCall::default() };
    assert_eq!(daemon.call(&call).cgroups.len(), 2048);
    let mode = Some(0o700);
    daemon.call(&SetOwnerCall { cgroup: deepest, mode, ..SetOwnerCall::default() });
    daemon.call(&RmdirCall { cgroup: "/d".into(), recursive: Some(true) });
}
