//! A daemon that is killed with SIGKILL, and the next one, which has the same state.

mod keeper;
mod worker;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use keeper::{KeeperProcess, keeper};
use penfold_server::protocol::{SetOwnerCall, UnmountCall};
use penfold_testkit::{is_root, proc, skip, wait_until};
use worker::{numbers, worker};

#[test]
fn next_daemon_has_everything_after_sigkill() {
    let mut daemon = KeeperProcess::start();
    let all = daemon.mount("cpuset,cpuacct,freezer,numtasks,release_agent=/sbin/agent");
    let pids = daemon.mount("pids,name=limits");
    daemon.mount("none,name=gone");
    daemon.connection.call(&UnmountCall { hierarchy: "gone".into() }).expect("it is mounted");
    daemon.mount("name=limits");
    let names = daemon.mount("none,name=names");
    for number in 0..1000 {
        daemon.mkdir(&format!("{names}:/{number}"));
    }
    for cgroup in ["/a", "/a/b", "/a/b/c d\\134", "/frozen", "/frozen/below"] {
        daemon.mkdir(&format!("{all}:{cgroup}"));
        daemon.write(&format!("{all}:{cgroup}"), "cpuset.mems", "0");
        daemon.write(&format!("{all}:{cgroup}"), "cpuset.cpus", "0");
    }
    daemon.write(&format!("{all}:/frozen"), "freezer.state", "FROZEN");
    daemon.write(&format!("{all}:/a"), "cpuset.memory_migrate", "1");
    daemon.write(&format!("{all}:/a"), "numtasks.shares", "max_shares=40");
    daemon.write(&format!("{all}:/a/b"), "notify_on_release", "1");
    daemon.mkdir(&format!("{pids}:/few"));
    daemon.write(&format!("{pids}:/few"), "pids.max", "20");
    let own = |file: Option<&str>, mode| SetOwnerCall {
        cgroup: format!("{pids}:/few"),
        file: file.map(str::to_owned),
        uid: Some(65534),
        gid: Some(65533),
        mode: Some(mode),
    };
    if is_root() {
        daemon.connection.call(&own(None, 0o2750)).expect("root may");
        daemon.connection.call(&own(Some("tasks"), 0o660)).expect("root may");
    }

    let (mut member, frozen) = (worker(), worker());
    daemon.attach(&format!("{all}:/a/b"), member.pid(), true);
    daemon.attach(&format!("{pids}:/few"), member.pid(), true);
    let family = numbers(&member.ask("f"));
    daemon.attach(&format!("{all}:/a"), family[1], true);
    let thread = numbers(&member.ask("t"))[0];
    daemon.attach(&format!("{all}:/a"), thread, false);
    daemon.attach(&format!("{all}:/frozen/below"), frozen.pid(), true);
    std::thread::sleep(Duration::from_millis(1500));
    // a busy machine needs more time
    wait_until("births are written down", || family.iter().all(|pid| daemon.has_written("pid", *pid)));

    let before = daemon.seen();
    assert_eq!(before.len(), 3 * 2 + 3 + 1000 + 5 + 1);
    daemon.crash();
    daemon.restart();
    assert_eq!(daemon.not_restored(), Vec::<String>::new());
    daemon.assert_seen(&before);
    // The member is supervised again, so a thread that is born now is a member too. No number of a hierarchy is used
    // twice.
    let newborn = numbers(&daemon.read(&format!("{pids}:/few"), "pids.current"));
    let born = member.ask("t");
    assert_eq!(numbers(&daemon.read(&format!("{pids}:/few"), "pids.current"))[0], newborn[0] + 1, "{born}");
    assert_eq!(daemon.mount("none,name=later"), "5");

    // a second crash, after the birth of a thread is in the journal
    std::thread::sleep(Duration::from_millis(1500));
    wait_until("the birth is written down", || daemon.has_written("tid", numbers(&born)[0]));
    let before = daemon.seen();
    daemon.crash();
    daemon.restart();
    daemon.assert_seen(&before);
}

#[test]
fn children_born_without_a_daemon_are_members() {
    let mut daemon = KeeperProcess::start();
    let at = daemon.mount("freezer,name=born");
    daemon.mkdir(&format!("{at}:/a"));
    let mut member = worker();
    let older = numbers(&member.ask("f"));
    daemon.attach(&format!("{at}:/a"), member.pid(), true);
    daemon.crash();
    let mut expected = numbers(&member.ask("f"));
    let thread = numbers(&member.ask("t"))[0];
    daemon.restart();
    expected.push(member.pid());
    expected.sort_unstable();
    assert_eq!(numbers(&daemon.read(&format!("{at}:/a"), "cgroup.procs")), expected);
    assert!(numbers(&daemon.read(&format!("{at}:/a"), "tasks")).contains(&thread));
    assert!(!expected.contains(&older[0]), "what was not a member has not become one");
    assert_eq!(daemon.not_restored(), Vec::<String>::new());
}

#[test]
fn reused_number_is_left_alone() {
    let mut daemon = KeeperProcess::start();
    let at = daemon.mount("freezer,name=reused");
    daemon.mkdir(&format!("{at}:/a"));
    let (member, other) = (worker(), worker());
    daemon.attach(&format!("{at}:/a"), member.pid(), true);
    daemon.crash();
    let path = daemon.state.join("journal");
    let text = std::fs::read_to_string(&path).expect("a journal");
    let forged = text.replace(&format!("\"pid\":{},", member.pid()), &format!("\"pid\":{},", other.pid()));
    assert_ne!(forged, text);
    // the other process may have started in the same tick
    let forged = forged.replace("\"started\":", "\"started\":1");
    std::fs::write(&path, forged).expect("it is ours");
    daemon.restart();
    assert_eq!(daemon.read(&format!("{at}:/a"), "tasks"), "");
    let said = daemon.not_restored();
    assert!(said.len() == 1 && said[0].contains("1 members have ended"), "{said:?}");
    assert_eq!(proc::threads(other.pid()).len(), 1);
}

#[test]
fn journal_of_another_boot_has_no_members() {
    let mut daemon = KeeperProcess::start();
    let at = daemon.mount("freezer,name=boot");
    daemon.mkdir(&format!("{at}:/a"));
    let member = worker();
    daemon.attach(&format!("{at}:/a"), member.pid(), true);
    daemon.crash();
    let path = daemon.state.join("journal");
    let text = std::fs::read_to_string(&path).expect("a journal");
    std::fs::write(&path, text.replacen("\"boot\":\"", "\"boot\":\"other", 1)).expect("it is ours");
    daemon.restart();
    assert_eq!(daemon.read(&format!("{at}:/a"), "tasks"), "");
    let said = daemon.not_restored();
    assert!(said.len() == 1 && said[0].contains("another boot: 1 member"), "{said:?}");
}

#[test]
fn damaged_journal_is_restored_up_to_the_damage() {
    let mut daemon = KeeperProcess::start();
    let at = daemon.mount("freezer,name=damage");
    daemon.mkdir(&format!("{at}:/a"));
    daemon.mkdir(&format!("{at}:/b"));
    daemon.crash();
    let path = daemon.state.join("journal");
    let mut bytes = std::fs::read(&path).expect("a journal");
    bytes.extend_from_slice(b"{\"is\":\"removed\",\"cgroup\":\"junk\"}\n{\"is\":\"rem");
    std::fs::write(&path, bytes).expect("it is ours");
    daemon.restart();
    assert_eq!(daemon.read(&format!("{at}:/b"), "tasks"), "");
    let said = daemon.not_restored();
    assert!(said.len() == 1 && said[0].contains("damaged at line"), "{said:?}");
    assert!(daemon.state.join("journal.damaged").exists());
}

#[test]
fn journal_catches_up_after_a_full_disk() {
    if !is_root() {
        return skip("only root can mount a small tmpfs");
    }
    let mut daemon = KeeperProcess::start();
    daemon.crash();
    let state = daemon.state.clone();
    let tmpfs = |options: &str| {
        let status = Command::new("mount").args(["-o", options, "-t", "tmpfs", "none"]).arg(&state).status();
        assert!(status.expect("mount").success());
    };
    tmpfs("size=64k");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).expect("ours");
    daemon.restart();
    let at = daemon.mount("pids,name=full");
    for number in 0..1000 {
        daemon.mkdir(&format!("{at}:/{number}"));
        daemon.write(&format!("{at}:/{number}"), "pids.max", "7");
    }
    wait_until("the disk is full", || !daemon.not_restored().is_empty());
    let said = daemon.not_restored();
    assert!(
        said.len() == 1 && said[0].contains("journal lost since") && said[0].contains("No space left"),
        "{said:?}"
    );
    tmpfs("remount,size=8m");
    wait_until("the disk is tried again", || daemon.not_restored().is_empty());
    let before = daemon.seen();
    daemon.crash();
    daemon.restart();
    let now = daemon.seen();
    let unmounted = Command::new("umount").arg("-l").arg(&state).status().expect("umount").success();
    assert!(now == before && unmounted);
}

#[test]
fn second_crash_during_a_restore_loses_nothing() {
    let mut daemon = KeeperProcess::start();
    let at = daemon.mount("pids,name=twice");
    for number in 0..1000 {
        daemon.mkdir(&format!("{at}:/{number}"));
    }
    let member = worker();
    daemon.attach(&format!("{at}:/7"), member.pid(), true);
    let before = daemon.seen();
    daemon.crash();
    // a daemon is killed at ten moments of its start, most of them before it serves
    for moment in 0..10 {
        let socket = daemon.directory.join("run/control");
        let mut early = Command::new(keeper())
            .args([&socket, &daemon.state])
            .stdout(Stdio::null())
            .spawn()
            .expect("the example is built with the tests");
        std::thread::sleep(Duration::from_millis(moment * 4));
        early.kill().expect("it lives");
        early.wait().expect("it is ours");
    }
    daemon.restart();
    daemon.assert_seen(&before);
    assert_eq!(daemon.not_restored(), Vec::<String>::new());
}
