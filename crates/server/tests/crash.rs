//! A daemon that is killed with SIGKILL, and the one after it: everything is as before.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::{
    AttachCall, FilesCall, HierarchiesCall, InfoCall, ListCall, MkdirCall, MountCall, ReadCall, SetOwnerCall,
    UnmountCall, WriteCall,
};

/// The example that is a daemon, which cargo builds before it runs tests.
fn keeper() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a program");
    test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples/keeper")
}

struct Daemon {
    directory: PathBuf,
    state: PathBuf,
    process: Child,
    connection: Connection,
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

impl Daemon {
    fn start(name: &str) -> Daemon {
        let directory = std::env::temp_dir().join(format!("penfold-crash-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).expect("a scratch directory");
        let state = directory.join("state");
        let (process, connection) = spawn(&directory, &state);
        Daemon { directory, state, process, connection }
    }

    /// SIGKILL, when everything that was acknowledged is in the file.
    fn crash(&mut self) {
        self.settle();
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL).expect("it lives");
        self.process.wait().expect("it is ours");
    }

    /// Waits until the journal has not grown for a while.
    fn settle(&self) {
        let length = || std::fs::metadata(self.state.join("journal")).map_or(0, |file| file.len());
        let (mut last, mut since) = (length(), Instant::now());
        while since.elapsed() < Duration::from_millis(300) {
            std::thread::sleep(Duration::from_millis(20));
            if length() != last {
                (last, since) = (length(), Instant::now());
            }
        }
    }

    fn restart(&mut self) {
        (self.process, self.connection) = spawn(&self.directory, &self.state);
    }

    fn mount(&mut self, options: &str) -> String {
        let call = MountCall { options: options.to_owned(), filesystem: None };
        self.connection.call(&call).expect("it mounts").hierarchy.id.to_string()
    }

    fn mkdir(&mut self, cgroup: &str) {
        let call = MkdirCall { cgroup: cgroup.to_owned(), ..MkdirCall::default() };
        self.connection.call(&call).expect("it is made");
    }

    fn write(&mut self, cgroup: &str, file: &str, content: &str) {
        let call = WriteCall { cgroup: cgroup.into(), file: file.into(), content: content.into() };
        if let Err(error) = self.connection.call(&call) {
            panic!("{cgroup} {file} {content:?}: {error}");
        }
    }

    fn read(&mut self, cgroup: &str, file: &str) -> String {
        let call = ReadCall { cgroup: cgroup.into(), file: file.into() };
        self.connection.call(&call).expect("it is read").content
    }

    fn attach(&mut self, cgroup: &str, task: i32, process: bool) {
        let call = AttachCall { cgroup: cgroup.into(), task: task.into(), process };
        if let Err(error) = self.connection.call(&call) {
            panic!("{task} into {cgroup}: {error}");
        }
    }

    fn not_restored(&mut self) -> Vec<String> {
        self.connection.call(&InfoCall {}).expect("it answers").not_restored
    }

    /// Everything that can be seen, by cgroup.
    fn seen(&mut self) -> BTreeMap<String, Vec<String>> {
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

    fn assert_seen(&mut self, before: &BTreeMap<String, Vec<String>>) {
        let now = self.seen();
        assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        for (name, facts) in before {
            assert_eq!(&now[name], facts, "{name}");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // where a test that failed has mounted something
        let _ = Command::new("umount").arg("-l").arg(&self.state).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A process that nobody supervises, with its output to read.
struct Stranger {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Stranger {
    fn start(script: &str) -> Stranger {
        let mut process = Command::new("/usr/bin/python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut stranger = Stranger { process, output };
        assert_eq!(stranger.line(), "ready");
        stranger
    }

    fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints");
        line.trim().to_owned()
    }

    /// Has it do what stands for this letter, and returns what it prints.
    fn ask(&mut self, letter: &str) -> String {
        use std::io::Write as _;
        let stdin = self.process.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{letter}").expect("it reads");
        self.line()
    }

    fn threads(&self) -> Vec<i32> {
        let entries = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it lives").flatten();
        entries
            .map(|entry| entry.file_name().to_str().expect("a number").parse().expect("a number"))
            .collect()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Forks for `f` (the child forks too, and both wait), makes a thread for `t`.
const WORKER: &str = "
import os, signal, sys, threading, time, ctypes
libc = ctypes.CDLL(None)
def die_with_parent(): libc.prctl(1, signal.SIGKILL)
def wait():
    while True: time.sleep(100)
def fork():
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        grandchild = os.fork()
        if grandchild == 0:
            die_with_parent()
            wait()
        os.write(w, b'%d %d\\n' % (os.getpid(), grandchild))
        wait()
    print(os.read(r, 100).decode().strip(), flush=True)
def thread():
    t = threading.Thread(target=wait, daemon=True)
    t.start()
    print(t.native_id, flush=True)
print('ready', flush=True)
for line in sys.stdin: {'f': fork, 't': thread}[line.strip()]()
";

fn numbers(text: &str) -> Vec<i32> {
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn after_a_sigkill_the_next_daemon_has_everything() {
    let mut daemon = Daemon::start("everything");
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
    if nix::unistd::geteuid().is_root() {
        daemon.connection.call(&own(None, 0o2750)).expect("root may");
        daemon.connection.call(&own(Some("tasks"), 0o660)).expect("root may");
    }

    let (mut member, frozen) = (Stranger::start(WORKER), Stranger::start(WORKER));
    daemon.attach(&format!("{all}:/a/b"), member.pid(), true);
    daemon.attach(&format!("{pids}:/few"), member.pid(), true);
    let family = numbers(&member.ask("f"));
    daemon.attach(&format!("{all}:/a"), family[1], true);
    let thread = numbers(&member.ask("t"))[0];
    daemon.attach(&format!("{all}:/a"), thread, false);
    daemon.attach(&format!("{all}:/frozen/below"), frozen.pid(), true);
    std::thread::sleep(Duration::from_millis(1500));
    daemon.settle();

    let before = daemon.seen();
    assert_eq!(before.len(), 3 * 2 + 3 + 1000 + 5 + 1);
    daemon.crash();
    daemon.restart();
    assert_eq!(daemon.not_restored(), Vec::<String>::new());
    daemon.assert_seen(&before);
    // supervised again: what is born now is a member, and no number of a hierarchy comes again
    let newborn = numbers(&daemon.read(&format!("{pids}:/few"), "pids.current"));
    let born = member.ask("t");
    assert_eq!(numbers(&daemon.read(&format!("{pids}:/few"), "pids.current"))[0], newborn[0] + 1, "{born}");
    assert_eq!(daemon.mount("none,name=later"), "5");

    // and once more, when the birth of a thread has been looked at
    std::thread::sleep(Duration::from_millis(1500));
    daemon.settle();
    let before = daemon.seen();
    daemon.crash();
    daemon.restart();
    daemon.assert_seen(&before);
}

#[test]
fn what_members_have_borne_while_no_daemon_ran_are_members() {
    let mut daemon = Daemon::start("born");
    let at = daemon.mount("freezer,name=born");
    daemon.mkdir(&format!("{at}:/a"));
    let mut member = Stranger::start(WORKER);
    let older = numbers(&member.ask("f"));
    daemon.attach(&format!("{at}:/a"), member.pid(), true);
    daemon.settle();
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
fn a_number_that_is_another_process_now_is_left_alone() {
    let mut daemon = Daemon::start("reused");
    let at = daemon.mount("freezer,name=reused");
    daemon.mkdir(&format!("{at}:/a"));
    let (member, other) = (Stranger::start(WORKER), Stranger::start(WORKER));
    daemon.attach(&format!("{at}:/a"), member.pid(), true);
    daemon.crash();
    let path = daemon.state.join("journal");
    let text = std::fs::read_to_string(&path).expect("a journal");
    let forged = text.replace(&format!("\"pid\":{},", member.pid()), &format!("\"pid\":{},", other.pid()));
    assert_ne!(forged, text);
    // not started in the same tick
    let forged = forged.replace("\"started\":", "\"started\":1");
    std::fs::write(&path, forged).expect("it is ours");
    daemon.restart();
    assert_eq!(daemon.read(&format!("{at}:/a"), "tasks"), "");
    let said = daemon.not_restored();
    assert!(said.len() == 1 && said[0].contains("1 members have ended"), "{said:?}");
    assert_eq!(other.threads().len(), 1);
}

#[test]
fn a_journal_of_another_boot_has_no_members_and_a_damaged_one_what_came_before() {
    let mut daemon = Daemon::start("boot");
    let at = daemon.mount("freezer,name=boot");
    daemon.mkdir(&format!("{at}:/a"));
    let member = Stranger::start(WORKER);
    daemon.attach(&format!("{at}:/a"), member.pid(), true);
    daemon.crash();
    let path = daemon.state.join("journal");
    let text = std::fs::read_to_string(&path).expect("a journal");
    std::fs::write(&path, text.replacen("\"boot\":\"", "\"boot\":\"other", 1)).expect("it is ours");
    daemon.restart();
    assert_eq!(daemon.read(&format!("{at}:/a"), "tasks"), "");
    let said = daemon.not_restored();
    assert!(said.len() == 1 && said[0].contains("another boot: 1 member"), "{said:?}");

    daemon.mkdir(&format!("{at}:/b"));
    daemon.crash();
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
fn a_full_disk_stops_nobody_and_is_caught_up_with() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI runs as root");
        return eprintln!("skipped: only root can mount a small tmpfs");
    }
    let mut daemon = Daemon::start("full");
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
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut said = daemon.not_restored();
    while said.is_empty() {
        assert!(Instant::now() < deadline, "the disk is full");
        std::thread::sleep(Duration::from_millis(50));
        said = daemon.not_restored();
    }
    assert!(
        said.len() == 1 && said[0].contains("journal lost since") && said[0].contains("No space left"),
        "{said:?}"
    );
    tmpfs("remount,size=8m");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !daemon.not_restored().is_empty() {
        assert!(Instant::now() < deadline, "the disk is tried again");
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = daemon.seen();
    daemon.crash();
    daemon.restart();
    let now = daemon.seen();
    let unmounted = Command::new("umount").arg("-l").arg(&state).status().expect("umount").success();
    assert!(now == before && unmounted);
}

#[test]
fn a_second_crash_during_the_restore_loses_nothing() {
    let mut daemon = Daemon::start("twice");
    let at = daemon.mount("pids,name=twice");
    for number in 0..1000 {
        daemon.mkdir(&format!("{at}:/{number}"));
    }
    let member = Stranger::start(WORKER);
    daemon.attach(&format!("{at}:/7"), member.pid(), true);
    let before = daemon.seen();
    daemon.crash();
    // killed at ten moments of its beginning, most of them before it serves
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
