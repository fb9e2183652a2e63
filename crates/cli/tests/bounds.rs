//! Clients that want all of a daemon's descriptors or memory: each gets its part, and the administrator an answer.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use common::{PENFOLD, PYTHON};
use penfold_testkit::{TempDir, is_root, needs, proc, skip, wait_for, wait_until};

/// A daemon that a shell starts with these limits. Killed on drop.
struct LimitedDaemon {
    child: Child,
    directory: TempDir,
}

impl LimitedDaemon {
    fn start(limits: &str) -> LimitedDaemon {
        let directory = TempDir::open_to_all();
        let socket = directory.path().join("control");
        let script = format!("{limits}; exec \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script, "sh", PENFOLD, "serve", "--no-state", "--log", "off", "--socket"]);
        shell.arg(&socket).stdin(Stdio::null()).stderr(Stdio::null());
        let child = shell.spawn().expect("it starts");
        wait_until("the daemon listens", || UnixStream::connect(&socket).is_ok());
        LimitedDaemon { child, directory }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control")
    }

    /// The standard output of a verb that must succeed.
    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        // a verb that gets no answer must not keep the test waiting without end
        let output = Command::new("timeout")
            .args(["60", PENFOLD])
            .args(words)
            .env("PENFOLD_SOCKET", self.socket())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The soft and the hard limit on descriptors that the daemon has now.
    fn limits(&self) -> [String; 2] {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.child.id())).expect("it lives");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
        [3, 4].map(|field| line.split_whitespace().nth(field).expect("a number").to_owned())
    }

    fn resident_kib(&self) -> u64 {
        let text = proc::status(self.child.id().cast_signed(), "VmRSS").expect("it lives");
        text.trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for LimitedDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client in Python, of another user. It prints a line when it has done its worst, and ends with its input.
struct Attacker {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    input: Option<ChildStdin>,
}

impl Attacker {
    fn start(uid: u32, daemon: &LimitedDaemon, script: &str) -> Attacker {
        let user = format!("--reuid={uid}");
        let mut command = Command::new("setpriv");
        command
            .args([&user, "--regid=65534", "--clear-groups", PYTHON, "-c"])
            .arg(script)
            .arg(daemon.socket());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let input = child.stdin.take();
        Attacker { child, output, input }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints text");
        line.trim().to_owned()
    }

    /// Has it go on, and returns its next line.
    fn next(&mut self) -> String {
        writeln!(self.input.as_mut().expect("a pipe")).expect("it reads");
        self.line()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 1,024 connections: one half is silent, the other has sent half a message with sixteen descriptors.
const CONNECTIONS: &str = "
import array, resource, socket, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
null = open('/dev/null')
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [null.fileno()] * 16))]
held = []
for number in range(1024):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(60)
    one.connect(sys.argv[1])
    try:
        if number % 2: one.sendmsg([b'{\"method\":'], rights)
    except OSError:
        pass
    held.append(one)
print('ready', flush=True)
sys.stdin.read()
";

#[test]
fn root_is_answered_when_users_take_all_connections() {
    needs!("python3", "setpriv", "timeout");
    if !is_root() {
        return skip("only root can become other users");
    }
    for limits in ["ulimit -Sn 1024", "ulimit -Sn 1024; ulimit -Hn 1024", "ulimit -Sn 256; ulimit -Hn 256"] {
        let daemon = LimitedDaemon::start(limits);
        daemon.says(&["mount", "-o", "pids,freezer"]);
        daemon.says(&["mkdir", "/a"]);
        let mut attackers: Vec<Attacker> =
            [65_532, 65_533, 65_534].map(|uid| Attacker::start(uid, &daemon, CONNECTIONS)).into();
        for attacker in &mut attackers {
            assert_eq!(attacker.line(), "ready", "{limits}");
        }
        for _ in 0..10 {
            assert!(daemon.says(&["hierarchies"]).contains("pids"), "{limits}");
        }
        daemon.says(&["set", "/a", "pids.max=5"]);
        assert_eq!(daemon.says(&["cat", "/a", "pids.max"]), "5\n", "{limits}");
    }
}

#[test]
fn programs_get_the_old_limit_on_descriptors_back() {
    needs!("sh");
    let daemon = LimitedDaemon::start("ulimit -Sn 1000");
    let [soft, hard] = daemon.limits();
    assert_eq!(soft, hard, "the daemon's own");
    let seen = daemon.directory.path().join("seen");
    let agent = daemon.directory.path().join("agent");
    fs::write(&agent, format!("#!/bin/sh\nulimit -Sn > {0}.new && mv {0}.new {0}\n", seen.display()))
        .expect("written");
    let status = Command::new("chmod").arg("755").arg(&agent).status().expect("it runs");
    assert!(status.success());
    daemon.says(&["mount", "-o", "pids"]);
    daemon.says(&["mkdir", "/a"]);
    daemon.says(&["set", "/", &format!("release_agent={}", agent.display())]);
    daemon.says(&["set", "/a", "notify_on_release=1"]);
    daemon.says(&["exec", "/a", "true"]);
    let read = || fs::read_to_string(&seen).unwrap_or_default();
    assert_eq!(wait_for("the agent has run", read, |text| !text.is_empty()), "1000\n", "the agent's");
    let run = format!("ulimit -Sn 900; exec {PENFOLD} run -q -- sh -c 'ulimit -Sn'");
    let output = Command::new("sh").args(["-c", &run]).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "900\n", "{output:?}");
}

#[test]
fn running_commands_cost_the_daemon_no_descriptors() {
    let daemon = LimitedDaemon::start("true");
    daemon.says(&["mount", "-o", "pids"]);
    daemon.says(&["mkdir", "/a"]);
    let open = || fs::read_dir(format!("/proc/{}/fd", daemon.child.id())).expect("it lives").count();
    // the command keeps the standard output of this verb open
    let launch = || {
        let mut verb = Command::new(PENFOLD);
        verb.args(["exec", "--detach", "/a", "sleep", "1000"]).env("PENFOLD_SOCKET", daemon.socket());
        assert!(verb.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it runs").success());
    };
    launch();
    let before = open();
    for _ in 0..20 {
        launch();
    }
    // the pipe of the last one may be open until the next
    wait_for("the descriptors are closed", open, |count| *count <= before + 4);
    daemon.says(&["kill", "/a"]);
}

/// A hundred watchers that do not read, of events with long paths. Then one of them reads all.
const WATCHERS: &str = r"
import json, socket, sys
def client():
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(60)
    one.connect(sys.argv[1])
    return one
def send(one, method, parameters, more=False):
    call = {'method': 'org.penfold.Control.' + method, 'parameters': parameters, 'more': more}
    one.sendall(json.dumps(call).encode() + b'\0')
def messages(one):
    rest = b''
    while True:
        while b'\0' not in rest:
            rest += one.recv(1 << 20)
        message, rest = rest.split(b'\0', 1)
        yield json.loads(message)
maker = client()
answers = messages(maker)
path = '/a'
for level in range(60):
    deeper = path + '/' + 'x' * 200
    send(maker, 'Mkdir', {'cgroup': deeper})
    if 'error' in next(answers): break
    path = deeper
assert len(path) > 3000, len(path)
path = path.rsplit('/', 1)[0]
watchers = []
for number in range(100):
    one = client()
    send(one, 'Watch', {'cgroup': '/a'}, True)
    replies = messages(one)
    assert next(replies)['parameters'] == {}
    watchers.append((one, replies))
for number in range(4000):
    send(maker, 'Mkdir', {'cgroup': f'{path}/e{number}'})
    assert 'error' not in next(answers)
print('made', flush=True)
sys.stdin.readline()
one, replies = watchers[50]
seen = lost = 0
while seen + lost < 4000:
    parameters = next(replies)['parameters']
    seen += 'event' in parameters
    lost += parameters.get('lost', 0)
print('exact' if seen + lost == 4000 and seen > 0 and lost > 0 else f'{seen} {lost}', flush=True)
sys.stdin.read()
";

#[test]
fn watchers_that_do_not_read_cost_bounded_memory() {
    needs!("python3", "setpriv", "timeout");
    if !is_root() {
        return skip("only root can become another user");
    }
    let daemon = LimitedDaemon::start("true");
    daemon.says(&["mount", "-o", "none,name=x"]);
    daemon.says(&["mkdir", "/a"]);
    daemon.says(&["chown", "65534", "/a"]);
    let mut attacker = Attacker::start(65_534, &daemon, WATCHERS);
    assert_eq!(attacker.line(), "made");
    // the events of all watchers are more than a gigabyte, those of one user may be 16 MiB
    let resident = daemon.resident_kib();
    assert!(resident < 120 << 10, "{resident} KiB");
    assert_eq!(attacker.next(), "exact", "each event is read or counted");
}
