//! `penfold serve` killed with SIGKILL and started again: nobody is left with a dead mount, and jobs' places are there.

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::{AS_NOBODY, PENFOLD, Scratch, Sleeper, User, eventually, for_everybody};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::statfs;
use nix::unistd::Pid;

struct Served {
    scratch: Scratch,
    process: Child,
    user: User,
}

fn program(user: User, scratch: &Scratch) -> Command {
    if user == User::Same {
        return Command::new(PENFOLD);
    }
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(for_everybody(scratch));
    command
}

impl Served {
    fn start() -> Served {
        Served::start_as(User::Same)
    }

    fn start_as(user: User) -> Served {
        let scratch = Scratch::new();
        let process = Served::spawn(user, &scratch, &[]);
        Served { scratch, process, user }
    }

    fn spawn(user: User, scratch: &Scratch, options: &[&str]) -> Child {
        let mut process = program(user, scratch)
            .arg("serve")
            .arg("--socket")
            .arg(scratch.path().join("run/control"))
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("penfold starts");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        // whoever does not read in time would hold the daemon's log up
        let serving = lines.by_ref().map_while(Result::ok).any(|line| line.contains("serving"));
        std::thread::spawn(move || lines.for_each(drop));
        assert!(serving, "it says when it serves");
        process
    }

    fn restart(&mut self, signal: Signal, options: &[&str]) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it lives");
        self.process.wait().expect("it is ours");
        self.process = Served::spawn(self.user, &self.scratch, options);
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
        eventually("it is written down", || self.journal().contains(&format!("{name}\"")));
        target
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for entry in std::fs::read_dir(self.scratch.path()).into_iter().flatten().flatten() {
            let _ = Command::new("umount").arg("-l").arg(entry.path()).stderr(Stdio::null()).status();
        }
    }
}

fn can_mount() -> bool {
    let possible = nix::unistd::geteuid().is_root() && Path::new("/dev/fuse").exists();
    if !possible {
        assert!(std::env::var_os("CI").is_none(), "CI has root and /dev/fuse");
        eprintln!("skipped: this takes root and /dev/fuse");
    }
    possible
}

#[test]
fn dead_mounts_are_mounted_again_with_what_was_in_them() {
    if !can_mount() {
        return;
    }
    let mut served = Served::start();
    let pids = served.mounted("pids", "pids");
    let twice = served.mounted("pids", "twice and");
    let other = served.mounted("none,name=other", "other");
    std::fs::create_dir(pids.join("a")).expect("a cgroup");
    std::fs::write(pids.join("a/pids.max"), "7").expect("a limit");
    let mut member = Command::new("sleep").arg("1000").spawn().expect("a process");
    std::fs::write(pids.join("a/cgroup.procs"), member.id().to_string()).expect("it is taken in");
    eventually("the member is written down", || {
        served.journal().contains(&format!("\"pid\":{}", member.id()))
    });
    assert!(Command::new("umount").arg(&other).status().expect("umount").success());
    eventually("the unmount is written down", || served.journal().contains("viewGone"));
    let before = served.says(&["hierarchies"]);

    kill(Pid::from_raw(served.process.id().cast_signed()), Signal::SIGKILL).expect("it lives");
    served.process.wait().expect("it is ours");
    assert_eq!(statfs(&pids).err(), Some(Errno::ENOTCONN), "what everybody would have to see");
    served.process = Served::spawn(served.user, &served.scratch, &[]);
    for target in [&pids, &twice] {
        assert_eq!(std::fs::read_to_string(target.join("a/pids.max")).expect("it is served"), "7\n");
        let tasks = std::fs::read_to_string(target.join("a/tasks")).expect("it is served");
        assert_eq!(tasks, format!("{}\n", member.id()));
    }
    assert_eq!(served.says(&["hierarchies"]), before);
    let mountinfo = std::fs::read("/proc/self/mountinfo").expect("proc");
    let mountinfo = String::from_utf8_lossy(&mountinfo);
    let mounts = |name: &str| {
        let target = format!(" {}/{name} ", served.scratch.path().display());
        mountinfo.lines().filter(|line| line.contains(&target)).count()
    };
    assert_eq!((mounts("pids"), mounts("twice\\040and"), mounts("other")), (1, 1, 0));

    // in order: no mount is left, dead or alive, and nothing of what was
    served.restart(Signal::SIGTERM, &[]);
    for target in [&pids, &twice] {
        assert_eq!(std::fs::read_dir(target).expect("not mounted").count(), 0);
    }
    assert_eq!(served.says(&["hierarchies", "--json"]).matches("\"id\"").count(), 0);
    member.kill().expect("it lives");
    member.wait().expect("it is ours");
}

/// P50.12
#[test]
fn a_daemon_without_root_has_everything_again() {
    needs!("setpriv");
    let mut served = Served::start_as(User::Nobody);
    served.says(&["mount", "-o", "pids,name=kept"]);
    served.says(&["mkdir", "/a", "/a/b"]);
    served.says(&["set", "/a", "pids.max=7"]);
    let mut member = Sleeper::start(User::Nobody);
    served.says(&["attach", "/a/b", &member.pid()]);
    eventually("the member is written down", || {
        served.journal().contains(&format!("\"pid\":{}", member.pid()))
    });
    let before = served.says(&["hierarchies"]);
    served.restart(Signal::SIGKILL, &[]);
    assert!(!member.is_dead(), "it goes on");
    assert_eq!(served.says(&["hierarchies"]), before);
    assert_eq!(served.says(&["cat", "/a", "pids.max", "pids.current"]), "pids.max: 7\npids.current: 1\n");
    assert_eq!(served.says(&["cat", "/a/b", "cgroup.procs"]), format!("{}\n", member.pid()));
    // and it is held again
    served.says(&["kill", "/a"]);
    eventually("it was reached", || member.is_dead());
}

#[test]
fn without_state_nothing_is_kept() {
    let mut served = Served::start();
    served.restart(Signal::SIGTERM, &["--no-state"]);
    served.says(&["mount", "-o", "none,name=lost"]);
    served.restart(Signal::SIGKILL, &["--no-state"]);
    assert!(!served.says(&["hierarchies"]).contains("lost"));
}

#[test]
fn a_release_agent_runs_when_the_last_member_dies_and_not_for_what_was_empty_at_a_restart() {
    let mut served = Served::start();
    let told = served.scratch.path().join("told");
    let agent = served.scratch.path().join("agent");
    std::fs::write(&agent, format!("#!/bin/sh\necho \"$@\" >> {}\n", told.display())).expect("an agent");
    std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it is ours");
    served.says(&["mount", "-o", &format!("freezer,release_agent={}", agent.display())]);
    for cgroup in ["/empty", "/used"] {
        served.says(&["mkdir", cgroup]);
        served.says(&["set", cgroup, "notify_on_release=1"]);
    }
    let mut member = Command::new("sleep").arg("1000").spawn().expect("a process");
    served.says(&["attach", "/used", &member.id().to_string()]);
    eventually("the member is written down", || {
        served.journal().contains(&format!("\"pid\":{}", member.id()))
    });
    served.restart(Signal::SIGKILL, &[]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!told.exists(), "nobody has left");
    member.kill().expect("it lives");
    member.wait().expect("it is ours");
    eventually("the agent has run", || told.exists());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(std::fs::read_to_string(&told).expect("it is there"), "/used\n");
}

#[test]
fn metrics_are_served_where_they_are_asked_for() {
    use std::io::{Read, Write};
    let mut served = Served::start();
    let socket = served.scratch.path().join("metrics");
    let address = format!("unix:{}", socket.display());
    served.restart(Signal::SIGTERM, &["--metrics", &address]);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("# EOF\n"), "{answer}");
    let bad = served.penfold(&["serve", "--metrics", "somewhere"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("takes a port"), "{bad:?}");
}
