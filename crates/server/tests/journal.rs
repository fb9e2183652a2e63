//! The state of a daemon, restored by the next one.

mod common;

use penfold_core::Tid;
use penfold_server::protocol::{
    AttachCall, HierarchiesCall, InfoCall, MountCall, SetOwnerCall, StatCall, UnmountCall, WriteCall,
};

use common::{HostKind, Stranger, World, on_each_host};

on_each_host! {
    next_daemon_has_hierarchies_values_and_owners,
    next_daemon_has_the_members,
    ended_members_are_counted,
    number_of_another_process_is_left_alone,
}

fn mounted(host: HostKind) -> World {
    let world = World::keeping(host);
    world.call(&MountCall { options: "all,clone_children".into(), ..MountCall::default() });
    world.mkdir("/a");
    world.mkdir("/a/b");
    world
}

fn attached(world: &World, cgroup: &str) -> Stranger {
    let stranger = Stranger::sleeping(nix::unistd::geteuid().as_raw());
    let task = stranger.pid().into();
    world.call(&AttachCall { cgroup: cgroup.into(), task, process: true });
    stranger
}

fn not_restored(world: &World) -> Vec<String> {
    world.call(&InfoCall {}).not_restored
}

fn next_daemon_has_hierarchies_values_and_owners(host: HostKind) {
    let mut world = mounted(host);
    world.call(&MountCall { options: "none,name=gone".into(), ..MountCall::default() });
    world.call(&MountCall { options: "none,name=second".into(), ..MountCall::default() });
    world.call(&UnmountCall { hierarchy: "gone".into() });
    let write = |cgroup: &str, file: &str, content: &str| {
        let (cgroup, file, content) = (cgroup.into(), file.into(), content.into());
        world.call(&WriteCall { cgroup, file, content });
    };
    write("pids:/a", "pids.max", "7");
    write("pids:/a/b", "notify_on_release", "1");
    write("pids:/", "release_agent", "/sbin/agent");
    write("pids:/a/b", "freezer.state", "FROZEN");
    world.call(&SetOwnerCall { cgroup: "pids:/a/b".into(), mode: Some(0o711), ..SetOwnerCall::default() });
    let before = world.call(&HierarchiesCall {}).hierarchies;
    world.stop();
    world.begin(host);
    assert_eq!(world.call(&HierarchiesCall {}).hierarchies, before);
    assert_eq!(world.names("pids:/"), ["/", "/a", "/a/b"]);
    assert_eq!(world.read("pids:/a", "pids.max"), "7\n");
    assert_eq!(world.read("pids:/a/b", "notify_on_release"), "1\n");
    assert_eq!(world.read("pids:/", "release_agent"), "/sbin/agent\n");
    assert_eq!(world.read("pids:/a/b", "freezer.state"), "FROZEN\n");
    let stat = StatCall { cgroup: "pids:/a/b".into(), file: None };
    assert_eq!(world.call(&stat).owner.mode, 0o711);
    assert_eq!(not_restored(&world), Vec::<String>::new());
}

fn next_daemon_has_the_members(host: HostKind) {
    let mut world = mounted(host);
    let (one, two) = (attached(&world, "/a"), attached(&world, "/a/b"));
    world.stop();
    world.begin(host);
    assert_eq!(world.processes("/a"), [one.pid()]);
    assert_eq!(world.processes("/a/b"), [two.pid()]);
    assert_eq!(world.read("/a", "pids.current"), "2\n");
    assert_eq!(not_restored(&world), Vec::<String>::new());
}

fn ended_members_are_counted(host: HostKind) {
    let mut world = mounted(host);
    let lives = attached(&world, "/a");
    let ends = attached(&world, "/a");
    world.stop();
    drop(ends);
    world.begin(host);
    assert_eq!(world.processes("/a"), [lives.pid()]);
    let said = not_restored(&world);
    assert!(said.len() == 1 && said[0].starts_with("1 members have ended"), "{said:?}");
}

fn number_of_another_process_is_left_alone(host: HostKind) {
    let mut world = mounted(host);
    let stranger = attached(&world, "/a");
    world.stop();
    let journal = world.directory.join("state/journal");
    let text = std::fs::read_to_string(&journal).expect("it was kept");
    let started = penfold_linux::proc::start_time(Tid(stranger.pid())).expect("it lives");
    let (ours, others) = (format!("\"started\":{started}"), format!("\"started\":{}", started - 1));
    assert!(text.contains(&ours), "{text}");
    std::fs::write(&journal, text.replace(&ours, &others)).expect("it can be written");
    world.begin(host);
    assert_eq!(world.processes("/a"), Vec::<i32>::new());
}
