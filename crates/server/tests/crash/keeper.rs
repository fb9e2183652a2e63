//! A daemon in a process of its own, which tests can kill.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::{
    AttachCall, FilesCall, HierarchiesCall, InfoCall, ListCall, MkdirCall, MountCall, ReadCall, WriteCall,
};
use penfold_testkit::{TempDir, wait_until};

/// The path of the example `keeper`, a daemon that cargo builds before it runs tests.
pub(crate) fn keeper() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a program");
    test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples/keeper")
}

pub(crate) struct KeeperProcess {
    pub(crate) directory: TempDir,
    pub(crate) state: PathBuf,
    process: Child,
    pub(crate) connection: Connection,
    /// The tasks that the journal must have before a crash.
    attached: Vec<i32>,
}

fn spawn(directory: &Path, state: &Path) -> (Child, Connection) {
    let socket = directory.join("run/control");
    let mut process = Command::new(keeper())
        .args([&socket, state])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example is built with the tests");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("it prints");
    assert_eq!(line, "ready\n", "it says so when it serves");
    let connection = Connection::connect(&Address::Path(socket)).expect("it serves");
    (process, connection)
}

impl KeeperProcess {
    pub(crate) fn start() -> KeeperProcess {
        let directory = TempDir::new();
        let state = directory.join("state");
        let (process, connection) = spawn(directory.path(), &state);
        KeeperProcess { directory, state, process, connection, attached: Vec::new() }
    }

    /// Kills the daemon with SIGKILL, after the journal has everything that was acknowledged.
    pub(crate) fn crash(&mut self) {
        self.settle();
        // the next journal need not have them
        self.attached.clear();
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL).expect("it lives");
        self.process.wait().expect("it is ours");
    }

    /// True if the journal has this process (`key` is `pid`) or this thread (`tid`).
    pub(crate) fn has_written(&self, key: &str, number: i32) -> bool {
        let text = std::fs::read_to_string(self.state.join("journal")).unwrap_or_default();
        text.contains(&format!("\"{key}\":{number},"))
    }

    /// Waits until the journal has every member and has not grown for a while.
    pub(crate) fn settle(&self) {
        let has = |task: &i32| self.has_written("pid", *task) || self.has_written("tid", *task);
        wait_until("the members are written down", || self.attached.iter().all(has));
        let length = || std::fs::metadata(self.state.join("journal")).map_or(0, |file| file.len());
        let (mut last, mut since) = (length(), Instant::now());
        wait_until("the journal grows no more", || {
            if length() != last {
                (last, since) = (length(), Instant::now());
            }
            since.elapsed() >= Duration::from_millis(300)
        });
    }

    pub(crate) fn restart(&mut self) {
        (self.process, self.connection) = spawn(self.directory.path(), &self.state);
    }

    pub(crate) fn mount(&mut self, options: &str) -> String {
        let call = MountCall { options: options.to_owned(), filesystem: None };
        self.connection.call(&call).expect("it mounts").hierarchy.id.to_string()
    }

    pub(crate) fn mkdir(&mut self, cgroup: &str) {
        let call = MkdirCall { cgroup: cgroup.to_owned(), ..MkdirCall::default() };
        self.connection.call(&call).expect("it is made");
    }

    pub(crate) fn write(&mut self, cgroup: &str, file: &str, content: &str) {
        let call = WriteCall { cgroup: cgroup.into(), file: file.into(), content: content.into() };
        if let Err(error) = self.connection.call(&call) {
            panic!("{cgroup} {file} {content:?}: {error}");
        }
    }

    pub(crate) fn read(&mut self, cgroup: &str, file: &str) -> String {
        let call = ReadCall { cgroup: cgroup.into(), file: file.into() };
        self.connection.call(&call).expect("it is read").content
    }

    pub(crate) fn attach(&mut self, cgroup: &str, task: i32, process: bool) {
        let call = AttachCall { cgroup: cgroup.into(), task: task.into(), process };
        if let Err(error) = self.connection.call(&call) {
            panic!("{task} into {cgroup}: {error}");
        }
        self.attached.push(task);
    }

    pub(crate) fn not_restored(&mut self) -> Vec<String> {
        self.connection.call(&InfoCall {}).expect("it answers").not_restored
    }

    /// The visible state of every hierarchy and cgroup, in lines.
    pub(crate) fn seen(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut seen = BTreeMap::new();
        let hierarchies = self.connection.call(&HierarchiesCall {}).expect("it answers").hierarchies;
        for hierarchy in hierarchies {
            let facts = format!("{} {} {}", hierarchy.options, hierarchy.mounts, hierarchy.cgroups);
            seen.insert(format!("hierarchy {}", hierarchy.id), vec![facts]);
            let list = ListCall {
                cgroup: format!("{}:/", hierarchy.id),
                recursive: Some(true),
                ..ListCall::default()
            };
            let cgroups = self.connection.call(&list).expect("it answers").cgroups;
            let order: Vec<String> = cgroups.iter().map(|cgroup| cgroup.path.clone()).collect();
            seen.insert(format!("order {}", hierarchy.id), order);
            for cgroup in cgroups {
                let mut facts = vec![format!("{:?}", cgroup.owner)];
                let call = FilesCall { cgroup: cgroup.cgroup.clone() };
                for file in self.connection.call(&call).expect("it answers").files {
                    let counts = ["cpuacct.", "debug.", "pids.peak", "pids.events", "numtasks.stats"];
                    let in_root =
                        cgroup.path == "/" && matches!(file.name.as_str(), "tasks" | "cgroup.procs");
                    let content = if counts.iter().any(|count| file.name.starts_with(count)) || in_root {
                        String::new()
                    } else {
                        self.read(&cgroup.cgroup, &file.name)
                    };
                    facts.push(format!("{} {:?} {content:?}", file.name, file.owner));
                }
                seen.insert(cgroup.cgroup, facts);
            }
        }
        seen
    }

    pub(crate) fn assert_seen(&mut self, before: &BTreeMap<String, Vec<String>>) {
        let now = self.seen();
        assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        for (name, facts) in before {
            assert_eq!(&now[name], facts, "{name}");
        }
    }
}

impl Drop for KeeperProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // a test that failed may have left a mount there
        let _ = Command::new("umount").arg("-l").arg(&self.state).stderr(Stdio::null()).status();
    }
}
