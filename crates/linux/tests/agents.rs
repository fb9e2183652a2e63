//! Release agents of a daemon: their environment, and that they disturb no other part of the daemon.

mod common;
mod contained;
mod hosted;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use hosted::TestHost;
use penfold_core::{Credentials, Release, Tid};
use penfold_linux::proc;
use penfold_linux::release::{AGENTS_AT_ONCE, AgentNotice, Agents};
use penfold_linux::trace::ExecOptions;
use penfold_testkit::{TempDir, is_root, proc::lives, skip, wait_until};

/// A directory that agents of any user can write.
struct AgentDirectory(TempDir);

impl AgentDirectory {
    fn new() -> AgentDirectory {
        AgentDirectory(TempDir::open_to_all())
    }

    fn script(&self, text: &str) -> String {
        let path = self.0.join("agent");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("write the agent");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("make it a program");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn entries(&self, prefix: &str) -> usize {
        let entries = std::fs::read_dir(self.path()).expect("it is there").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
    }
}

fn agents() -> (Agents, mpsc::Receiver<AgentNotice>) {
    let (tell, hear) = mpsc::channel();
    let agents = Agents::start(move |note| drop(tell.send(note))).expect("a thread");
    (agents, hear)
}

fn release(agent: &str, path: &str) -> Release {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    Release {
        agent: agent.as_bytes().to_owned(),
        path: path.as_bytes().to_vec(),
        hierarchy: 1,
        mounter: Credentials { uid, gid },
    }
}

#[test]
fn agent_inherits_nothing_from_the_daemon() {
    let scratch = AgentDirectory::new();
    let told = scratch.path().join("told");
    let agent = scratch.script(&format!(
        "{{ echo \"$#\" \"$@\"; pwd; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort; cat; umask\n\
         for fd in /proc/$$/fd/*; do readlink $fd; done | grep -v -e /agent$ -e ^pipe: | sort -u\n\
         awk '{{ print ($1 == $6) }}' /proc/$$/stat; sed -n 's/SigIgn:..........//p' /proc/$$/status; }} > {0}.new\n\
         mv {0}.new {0}",
        told.display()
    ));
    // a descriptor that a library forgot to close on exec, and a signal that this process ignores
    let file = std::fs::File::open("/etc/passwd").expect("a file");
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).expect("it is open");
    let (agents, _notes) = agents();
    agents.release(release(&agent, "/a/b c"));
    wait_until("the agent has run", || told.exists());
    let expected = format!(
        "1 /a/b c\n/\nHOME=/\nPATH=/sbin:/bin:/usr/sbin:/usr/bin\n0022\n/dev/null\n{0}.new\n1\n0000000\n",
        told.display()
    );
    assert_eq!(std::fs::read_to_string(&told).expect("it is there"), expected);
}

#[test]
fn agent_may_have_a_name_that_is_no_text() {
    let scratch = AgentDirectory::new();
    let told = scratch.path().join("told");
    let script = scratch.script(&format!("echo \"$1\" > {0}.new; mv {0}.new {0}", told.display()));
    let name = [script.as_bytes(), b"\xff\xa0"].concat();
    std::fs::rename(&script, OsStr::from_bytes(&name)).expect("a file name is any bytes");
    let (agents, _notes) = agents();
    agents.release(Release { agent: name, ..release("", "/a") });
    wait_until("the agent has run", || told.exists());
    assert_eq!(std::fs::read_to_string(&told).expect("it is there"), "/a\n");
}

#[test]
fn agent_runs_as_the_mounter_of_the_hierarchy() {
    if !is_root() {
        return skip("only root can run an agent as another user");
    }
    let scratch = AgentDirectory::new();
    let told = scratch.path().join("told");
    let agent =
        scratch.script(&format!("{{ id -u; id -g; id -G; }} > {0}.new; mv {0}.new {0}", told.display()));
    let (agents, _notes) = agents();
    agents.release(Release { mounter: Credentials { uid: 65534, gid: 65533 }, ..release(&agent, "/a") });
    wait_until("the agent has run", || told.exists());
    assert_eq!(std::fs::read_to_string(&told).expect("it is there"), "65534\n65533\n65533\n");
}

#[test]
fn agents_that_hang_are_bounded_and_the_others_wait() {
    let scratch = AgentDirectory::new();
    let at = scratch.path().display();
    let agent = scratch.script(&format!(
        "touch {at}/began$(echo $1 | tr / _); while [ ! -e {at}/go ]; do sleep 0.1; done; echo $1 >> {at}/ended"
    ));
    let (agents, notes) = agents();
    let all = AGENTS_AT_ONCE + 30;
    for number in 0..all {
        agents.release(release(&agent, &format!("/{number}")));
    }
    // nobody waited for an agent, or this would not be reached: none can end yet
    wait_until("as many as may have begun", || scratch.entries("began") == AGENTS_AT_ONCE);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(scratch.entries("began"), AGENTS_AT_ONCE);
    assert!(notes.try_recv().is_err(), "10 s are not over");
    for _ in 0..10 {
        agents.release(release(&agent, &format!("/{}", all - 1)));
    }
    std::fs::write(scratch.path().join("go"), "").expect("write");
    let ended = || std::fs::read_to_string(scratch.path().join("ended")).unwrap_or_default().lines().count();
    wait_until("all have run", || ended() >= all);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ended(), all, "the one that was told of while it waited has run once");
}

#[test]
fn agent_that_takes_ten_seconds_is_reported() {
    let scratch = AgentDirectory::new();
    let agent = scratch.script("exec sleep 11");
    let (agents, notes) = agents();
    agents.release(release(&agent, "/slow"));
    agents.release(release("/nonexistent/agent", "/none"));
    match notes.recv_timeout(Duration::from_secs(20)).expect("a note") {
        AgentNotice::Failed(release, error) => {
            assert_eq!((release.path.as_slice(), error.raw_os_error()), (&b"/none"[..], Some(libc::ENOENT)));
        }
        other => panic!("{other:?}"),
    }
    match notes.recv_timeout(Duration::from_secs(20)).expect("a note") {
        AgentNotice::Slow(release, pid, time) => {
            assert!(release.path == b"/slow" && time >= Duration::from_secs(10));
            wait_until("it is reaped when it has ended", || !Path::new(&format!("/proc/{pid}")).exists());
        }
        other => panic!("{other:?}"),
    }
}

/// The tracer reaps with waitid, the agents' threads with waitpid, and the daemon gets the orphans of both.
#[test]
fn agents_and_their_orphans_are_reaped_beside_a_tracer() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("load");
    let scratch = AgentDirectory::new();
    let at = scratch.path().display();
    let agent =
        scratch.script(&format!("(sleep 1; echo $$ > /dev/null) & echo $! > {at}/left$(echo $1 | tr / _)"));
    let load: Vec<_> = (0..2)
        .map(|_| {
            let forks = "i=0; while [ $i -lt 1000 ]; do (: & :); i=$((i+1)); done";
            hosted.exec(cgroup, &["sh", "-c", forks], ExecOptions::default())
        })
        .collect();
    let (agents, notes) = agents();
    for number in 0..200 {
        agents.release(release(&agent, &format!("/{number}")));
    }
    wait_until("all have run", || scratch.entries("left") == 200);
    for running in load {
        assert_eq!(running.wait().expect("it ran"), 0, "no fork of the job failed");
    }
    let left: Vec<i32> = (0..200)
        .map(|number| {
            let text =
                std::fs::read_to_string(scratch.path().join(format!("left_{number}"))).expect("it is there");
            text.trim().parse().expect("a number")
        })
        .collect();
    let gone =
        |pid: &i32| !lives(*pid) && proc::parent_of(Tid(*pid)) != Some(Tid(std::process::id().cast_signed()));
    wait_until("none is a zombie of this process", || left.iter().all(gone));
    assert!(notes.try_recv().is_err(), "no agent failed");
}
