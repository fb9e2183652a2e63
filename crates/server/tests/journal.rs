//! The state of a daemon, restored by the next one.

mod common;

use penfold_core::Tid;
use penfold_server::protocol::{
    AttachCall, HierarchiesCall, InfoCall, MountCall, SetOwnerCall, StatCall, UnmountCall, WriteCall,
};

use common::{HostKind, InProcessDaemon, on_each_host};
use penfold_testkit::OutsideProcess;

on_each_host! {
    next_daemon_has_hierarchies_values_and_owners,
    next_daemon_has_the_members,
    ended_members_are_counted,
    number_of_another_process_is_left_alone,
}

fn mounted(host: HostKind) -> InProcessDaemon {
    let daemon = InProcessDaemon::keeping(host);
    daemon.call(&MountCall { options: "all,clone_children".into(), ..MountCall::default() });
    daemon.mkdir("/a");
    daemon.mkdir("/a/b");
    daemon
}

fn attached(daemon: &InProcessDaemon, cgroup: &str) -> OutsideProcess {
    let stranger = OutsideProcess::sleeping_as(nix::unistd::geteuid().as_raw());
    let task = stranger.pid().into();
    daemon.call(&AttachCall { cgroup: cgroup.into(), task, process: true });
    stranger
}

fn not_restored(daemon: &InProcessDaemon) -> Vec<String> {
    daemon.call(&InfoCall {}).not_restored
}

fn next_daemon_has_hierarchies_values_and_owners(host: HostKind) {
    let mut daemon = mounted(host);
    daemon.call(&MountCall { options: "none,name=gone".into(), ..MountCall::default() });
    daemon.call(&MountCall { options: "none,name=second".into(), ..MountCall::default() });
    daemon.call(&UnmountCall { hierarchy: "gone".into() });
    let write = |cgroup: &str, file: &str, content: &str| {
        let (cgroup, file, content) = (cgroup.into(), file.into(), content.into());
        daemon.call(&WriteCall { cgroup, file, content });
    };
    write("pids:/a", "pids.max", "7");
    write("pids:/a/b", "notify_on_release", "1");
    write("pids:/", "release_agent", "/sbin/agent");
    write("pids:/a/b", "freezer.state", "FROZEN");
    daemon.call(&SetOwnerCall { cgroup: "pids:/a/b".into(), mode: Some(0o711), ..SetOwnerCall::default() });
    let before = daemon.call(&HierarchiesCall {}).hierarchies;
    daemon.stop();
    daemon.begin(host);
    assert_eq!(daemon.call(&HierarchiesCall {}).hierarchies, before);
    assert_eq!(daemon.names("pids:/"), ["/", "/a", "/a/b"]);
    assert_eq!(daemon.read("pids:/a", "pids.max"), "7\n");
    assert_eq!(daemon.read("pids:/a/b", "notify_on_release"), "1\n");
    assert_eq!(daemon.read("pids:/", "release_agent"), "/sbin/agent\n");
    assert_eq!(daemon.read("pids:/a/b", "freezer.state"), "FROZEN\n");
    let stat = StatCall { cgroup: "pids:/a/b".into(), file: None };
    assert_eq!(daemon.call(&stat).owner.mode, 0o711);
    assert_eq!(not_restored(&daemon), Vec::<String>::new());
}

fn next_daemon_has_the_members(host: HostKind) {
    let mut daemon = mounted(host);
    let (one, two) = (attached(&daemon, "/a"), attached(&daemon, "/a/b"));
    daemon.stop();
    daemon.begin(host);
    assert_eq!(daemon.processes("/a"), [one.pid()]);
    assert_eq!(daemon.processes("/a/b"), [two.pid()]);
    assert_eq!(daemon.read("/a", "pids.current"), "2\n");
    assert_eq!(not_restored(&daemon), Vec::<String>::new());
}

fn ended_members_are_counted(host: HostKind) {
    let mut daemon = mounted(host);
    let lives = attached(&daemon, "/a");
    let ends = attached(&daemon, "/a");
    daemon.stop();
    drop(ends);
    daemon.begin(host);
    assert_eq!(daemon.processes("/a"), [lives.pid()]);
    let said = not_restored(&daemon);
    assert!(said.len() == 1 && said[0].starts_with("1 members have ended"), "{said:?}");
}

fn number_of_another_process_is_left_alone(host: HostKind) {
    let mut daemon = mounted(host);
    let stranger = attached(&daemon, "/a");
    daemon.stop();
    let journal = daemon.directory.join("state/journal");
    let text = std::fs::read_to_string(&journal).expect("it was kept");
    let started = penfold_linux::proc::start_time(Tid(stranger.pid())).expect("it lives");
    let (ours, others) = (format!("\"started\":{started}"), format!("\"started\":{}", started - 1));
    assert!(text.contains(&ours), "{text}");
    std::fs::write(&journal, text.replace(&ours, &others)).expect("it can be written");
    daemon.begin(host);
    assert_eq!(daemon.processes("/a"), Vec::<i32>::new());
}
