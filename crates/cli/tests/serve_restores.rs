//! `penfold serve` killed with SIGKILL and started again: no mount stays dead, and the cgroups of jobs are there again.

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::{AS_NOBODY, PENFOLD, Sleeper, TestUser, for_everybody};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::statfs;
use nix::unistd::Pid;
use penfold_testkit::{TempDir, is_root, needs, skip, wait_until};

/// A daemon with a journal, which a test can restart; killed on drop.
/// A daemon with a journal, which a test can restart; killed on drop.
struct RestartableDaemon {
    scratch: TempDir,
    process: Child,
    user: TestUser,
}

fn program(user: TestUser, scratch: &TempDir) -> Command {
    if user == TestUser::Same {
        return Command::new(PENFOLD);
    }
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(for_everybody(scratch));
    command
}

impl RestartableDaemon {
    fn start() -> RestartableDaemon {
        RestartableDaemon::start_as(TestUser::Same)
    }

    fn start_as(user: TestUser) -> RestartableDaemon {
        let scratch = TempDir::open_to_all();
        let process = RestartableDaemon::spawn(user, &scratch, &[]);
        RestartableDaemon { scratch, process, user }
    }

    fn spawn(user: TestUser, scratch: &TempDir, options: &[&str]) -> Child {
        let mut process = program(user, scratch)
            .arg("serve")
            .arg("--socket")
            .arg(scratch.path().join("run/control"))
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("penfold starts");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        // a full pipe would block the daemon's log
        let serving = lines.by_ref().map_while(Result::ok).any(|line| line.contains("serving"));
        std::thread::spawn(move || lines.for_each(drop));
        assert!(serving, "it says when it serves");
        process
    }

    fn restart(&mut self, signal: Signal, options: &[&str]) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it lives");
        self.process.wait().expect("it is ours");
        self.process = RestartableDaemon::spawn(self.user, &self.scratch, options);
    }

    fn penfold(&self, arguments: &[&str]) -> Output {
        program(self.user, &self.scratch)
            .env("PENFOLD_SOCKET", self.scratch.path().join("run/control"))
            .args(arguments)
            .output()
            .expect("penfold runs")
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output = self.penfold(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a text")
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("run/state/journal")).unwrap_or_default()
    }

    fn mounted(&self, options: &str, name: &str) -> PathBuf {
        let target = self.scratch.path().join(name);
        std::fs::create_dir(&target).expect("a mount point");
        self.says(&["mount", "-o", options, target.to_str().expect("UTF-8")]);
        wait_until("it is written down", || self.journal().contains(&format!("{name}\"")));
        target
    }
}

impl Drop for RestartableDaemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for entry in std::fs::read_dir(self.scratch.path()).into_iter().flatten().flatten() {
            let _ = Command::new("umount").arg("-l").arg(entry.path()).stderr(Stdio::null()).status();
        }
    }
}

fn can_mount() -> bool {
    let possible = is_root() && Path::new("/dev/fuse").exists();
    if !possible {
        skip("this takes root and /dev/fuse");
    }
    possible
}

#[test]
fn dead_mounts_are_restored_with_their_cgroups() {
    if !can_mount() {
        return;
    }
    let mut daemon = RestartableDaemon::start();
    let pids = daemon.mounted("pids", "pids");
    let twice = daemon.mounted("pids", "twice and");
    let other = daemon.mounted("none,name=other", "other");
    std::fs::create_dir(pids.join("a")).expect("a cgroup");
    std::fs::write(pids.join("a/pids.max"), "7").expect("a limit");
    let mut member = Command::new("sleep").arg("1000").spawn().expect("a process");
    std::fs::write(pids.join("a/cgroup.procs"), member.id().to_string()).expect("it is taken in");
    wait_until("the member is written down", || {
        daemon.journal().contains(&format!("\"pid\":{}", member.id()))
    });
    assert!(Command::new("umount").arg(&other).status().expect("umount").success());
    wait_until("the unmount is written down", || daemon.journal().contains("viewGone"));
    let before = daemon.says(&["hierarchies"]);

    kill(Pid::from_raw(daemon.process.id().cast_signed()), Signal::SIGKILL).expect("it lives");
    daemon.process.wait().expect("it is ours");
    assert_eq!(statfs(&pids).err(), Some(Errno::ENOTCONN), "what everybody would have to see");
    daemon.process = RestartableDaemon::spawn(daemon.user, &daemon.scratch, &[]);
    for target in [&pids, &twice] {
        assert_eq!(std::fs::read_to_string(target.join("a/pids.max")).expect("it is served"), "7\n");
        let tasks = std::fs::read_to_string(target.join("a/tasks")).expect("it is served");
        assert_eq!(tasks, format!("{}\n", member.id()));
    }
    assert_eq!(daemon.says(&["hierarchies"]), before);
    let mountinfo = std::fs::read("/proc/self/mountinfo").expect("proc");
    let mountinfo = String::from_utf8_lossy(&mountinfo);
    let mounts = |name: &str| {
        let target = format!(" {}/{name} ", daemon.scratch.path().display());
        mountinfo.lines().filter(|line| line.contains(&target)).count()
    };
    assert_eq!((mounts("pids"), mounts("twice\\040and"), mounts("other")), (1, 1, 0));

    // after an end in order no mount is left, dead or alive, and no hierarchy
    daemon.restart(Signal::SIGTERM, &[]);
    for target in [&pids, &twice] {
        assert_eq!(std::fs::read_dir(target).expect("not mounted").count(), 0);
    }
    assert_eq!(daemon.says(&["hierarchies", "--json"]).matches("\"id\"").count(), 0);
    member.kill().expect("it lives");
    member.wait().expect("it is ours");
}

/// P50.12
#[test]
fn daemon_without_root_restores_everything() {
    needs!("setpriv");
    let mut daemon = RestartableDaemon::start_as(TestUser::Nobody);
    daemon.says(&["mount", "-o", "pids,name=kept"]);
    daemon.says(&["mkdir", "/a", "/a/b"]);
    daemon.says(&["set", "/a", "pids.max=7"]);
    let mut member = Sleeper::start(TestUser::Nobody);
    daemon.says(&["attach", "/a/b", &member.pid()]);
    wait_until("the member is written down", || {
        daemon.journal().contains(&format!("\"pid\":{}", member.pid()))
    });
    let before = daemon.says(&["hierarchies"]);
    daemon.restart(Signal::SIGKILL, &[]);
    assert!(!member.is_dead(), "it goes on");
    assert_eq!(daemon.says(&["hierarchies"]), before);
    assert_eq!(daemon.says(&["cat", "/a", "pids.max", "pids.current"]), "pids.max: 7\npids.current: 1\n");
    assert_eq!(daemon.says(&["cat", "/a/b", "cgroup.procs"]), format!("{}\n", member.pid()));
    // the daemon supervises the process again
    daemon.says(&["kill", "/a"]);
    wait_until("it was reached", || member.is_dead());
}

#[test]
fn daemon_without_state_keeps_nothing() {
    let mut daemon = RestartableDaemon::start();
    daemon.restart(Signal::SIGTERM, &["--no-state"]);
    daemon.says(&["mount", "-o", "none,name=lost"]);
    daemon.restart(Signal::SIGKILL, &["--no-state"]);
    assert!(!daemon.says(&["hierarchies"]).contains("lost"));
}

#[test]
fn release_agent_skips_cgroups_empty_at_a_restart() {
    let mut daemon = RestartableDaemon::start();
    let told = daemon.scratch.path().join("told");
    let agent = daemon.scratch.path().join("agent");
    std::fs::write(&agent, format!("#!/bin/sh\necho \"$@\" >> {}\n", told.display())).expect("an agent");
    std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it is ours");
    daemon.says(&["mount", "-o", &format!("freezer,release_agent={}", agent.display())]);
    for cgroup in ["/empty", "/used"] {
        daemon.says(&["mkdir", cgroup]);
        daemon.says(&["set", cgroup, "notify_on_release=1"]);
    }
    let mut member = Command::new("sleep").arg("1000").spawn().expect("a process");
    daemon.says(&["attach", "/used", &member.id().to_string()]);
    wait_until("the member is written down", || {
        daemon.journal().contains(&format!("\"pid\":{}", member.id()))
    });
    daemon.restart(Signal::SIGKILL, &[]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!told.exists(), "nobody has left");
    member.kill().expect("it lives");
    member.wait().expect("it is ours");
    wait_until("the agent has run", || told.exists());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(std::fs::read_to_string(&told).expect("it is there"), "/used\n");
}

#[test]
fn metrics_are_served_at_the_given_address() {
    use std::io::{Read, Write};
    let mut daemon = RestartableDaemon::start();
    let socket = daemon.scratch.path().join("metrics");
    let address = format!("unix:{}", socket.display());
    daemon.restart(Signal::SIGTERM, &["--metrics", &address]);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("# EOF\n"), "{answer}");
    let bad = daemon.penfold(&["serve", "--metrics", "somewhere"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("takes a port"), "{bad:?}");
}
