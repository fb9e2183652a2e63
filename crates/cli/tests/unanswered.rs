//! Clients of a daemon that does not answer: each ends on a signal, and says why.

mod common;

use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use common::PENFOLD;
use penfold_testkit::{TempDir, proc, retry, wait_until};

/// The longest that a client may live after its signal. It is generous: only a failing test waits that long.
const DEADLINE: Duration = Duration::from_secs(60);
/// The line of a client that has waited for its daemon.
const LINE: &str = "penfold: daemon: did not answer before the signal; it is stopped or busy";

/// A daemon that can be stopped. Killed on drop, stopped or not.
struct StoppableDaemon {
    child: Child,
    directory: TempDir,
}

impl StoppableDaemon {
    fn start() -> StoppableDaemon {
        let directory = TempDir::new();
        let socket = directory.join("control");
        let mut serve = Command::new(PENFOLD);
        serve.args(["serve", "--no-state", "--log", "off", "--socket"]).arg(&socket);
        let child = serve.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        wait_until("the daemon listens", || UnixStream::connect(&socket).is_ok());
        let daemon = StoppableDaemon { child, directory };
        daemon.succeeds(&["mount", "-o", "all,clone_children"]);
        daemon.succeeds(&["mkdir", "/a"]);
        daemon
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it lives");
    }

    fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        wait_until("the daemon is stopped", || proc::state(self.pid()) == Some('T'));
    }

    fn succeeds(&self, words: &[&str]) {
        let status = verb(&self.directory.join("control"), words).status().expect("it runs");
        assert!(status.success(), "{words:?}: {status}");
    }

    fn start_verb(&self, words: &[&str]) -> Child {
        verb(&self.directory.join("control"), words).spawn().expect("it runs")
    }
}

impl Drop for StoppableDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn verb(socket: &Path, words: &[&str]) -> Command {
    let mut verb = Command::new(PENFOLD);
    verb.args(words).env("PENFOLD_SOCKET", socket).env_remove("PENFOLD_JOB");
    // a command that goes on keeps a pipe open
    let messages = File::create(socket.with_file_name("messages")).expect("written");
    verb.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
    verb
}

/// Waits until a client waits for its daemon: it sleeps, with the signals blocked that could end it.
fn waits_for_daemon(client: &Child) {
    let pid = client.id().cast_signed();
    let term = 1_u64 << (Signal::SIGTERM as i32 - 1);
    wait_until("the client waits", || {
        let blocked = proc::status(pid, "SigBlk").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        blocked.is_some_and(|mask| mask & term != 0) && proc::state(pid) == Some('S')
    });
}

/// Waits for the end of a client after a signal, and returns its status and its standard error.
fn end_by(directory: &TempDir, client: &mut Child, signal: Signal) -> (ExitStatus, String) {
    kill(Pid::from_raw(client.id().cast_signed()), signal).expect("it lives");
    let ended = retry(DEADLINE, || client.try_wait().expect("it is ours").ok_or(()));
    let Ok(status) = ended else {
        let _ = client.kill();
        panic!("not ended within {DEADLINE:?}");
    };
    (status, fs::read_to_string(directory.join("messages")).expect("text"))
}

/// Asserts that a client has ended by the signal, after one line.
#[track_caller]
fn ended_with_one_line(words: &[&str], (status, text): &(ExitStatus, String), signal: Signal) {
    let by_signal = status.signal() == Some(signal as i32) || status.code() == Some(128 + signal as i32);
    assert!(by_signal, "{words:?}: {status}, {text}");
    assert!(text.starts_with(LINE) && text.lines().count() == 1, "{words:?}: {text}");
}

const VERBS: [&[&str]; 28] = [
    &["ls", "/"],
    &["tree", "/"],
    &["get", "/a", "tasks"],
    &["cat", "/a", "tasks"],
    &["set", "/a", "pids.max=3"],
    &["mkdir", "/b"],
    &["rmdir", "/a", "/b"],
    &["mv", "/a", "b"],
    &["chmod", "700", "/a"],
    &["chown", "1", "/a"],
    &["ps", "/a"],
    &["top", "--once"],
    &["events"],
    &["kill", "/a", "/b"],
    &["freeze", "/a"],
    &["thaw", "--wait", "/a"],
    &["attach", "/a", "1", "2"],
    &["subsystems"],
    &["hierarchies"],
    &["mount", "-o", "none,name=x"],
    &["umount", "x"],
    &["proc", "cgroups"],
    &["module", "list"],
    &["module", "unload", "x"],
    &["exec", "/a", "true"],
    &["exec", "--detach", "/a", "true"],
    &["cgcreate", "-g", "pids:/x"],
    &["cgexec", "-g", "pids:/a", "true"],
];

#[test]
fn every_verb_of_a_stopped_daemon_ends_on_a_signal() {
    let daemon = StoppableDaemon::start();
    daemon.stop();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        for words in VERBS {
            let mut client = daemon.start_verb(words);
            waits_for_daemon(&client);
            ended_with_one_line(words, &end_by(&daemon.directory, &mut client, signal), signal);
        }
    }
}

#[test]
fn client_of_a_full_backlog_ends_on_a_signal() {
    let directory = TempDir::new();
    let socket = directory.join("control");
    let _listener = UnixListener::bind(&socket).expect("a free path");
    // connections that are never accepted, until the next one would wait
    let fill = std::thread::spawn({
        let socket = socket.clone();
        move || {
            let address = penfold_server::address::Address::Path(socket);
            let mut held = Vec::new();
            loop {
                let (tell, told) = std::sync::mpsc::channel();
                let address = address.clone();
                std::thread::spawn(move || tell.send(address.connect()));
                match told.recv_timeout(Duration::from_millis(500)) {
                    Ok(connected) => held.push(connected.expect("it listens")),
                    Err(_) => return held,
                }
            }
        }
    });
    let _held = fill.join().expect("filled");
    let mut client = verb(&socket, &["hierarchies"]).spawn().expect("it runs");
    waits_for_daemon(&client);
    ended_with_one_line(&["hierarchies"], &end_by(&directory, &mut client, Signal::SIGTERM), Signal::SIGTERM);
}

#[test]
fn run_in_a_stopped_daemon_names_its_cgroup_and_ends() {
    let daemon = StoppableDaemon::start();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let words = ["run", "-q", "--in", "/a", "--", "sleep", "1000"];
        let mut client = daemon.start_verb(&words);
        let pid = client.id().cast_signed();
        let sleeps = || proc::children(pid).iter().any(|child| proc::command(*child) == "sleep");
        wait_until("the command runs", sleeps);
        let command = proc::children(pid)[0];
        daemon.stop();
        ended_with_one_line(&words, &end_by(&daemon.directory, &mut client, signal), signal);
        wait_until("the command is killed", || !proc::lives(command));
        daemon.signal(Signal::SIGCONT);
        daemon.succeeds(&["rmdir", &format!("/a/run-{pid}")]);
    }
    daemon.stop();
    let words = ["run", "-q", "--in", "/a", "--", "true"];
    let mut client = daemon.start_verb(&words);
    waits_for_daemon(&client);
    ended_with_one_line(&words, &end_by(&daemon.directory, &mut client, Signal::SIGTERM), Signal::SIGTERM);
}

#[test]
fn running_exec_of_a_stopped_daemon_ends_on_a_signal() {
    let daemon = StoppableDaemon::start();
    let words = ["exec", "/a", "--", "sleep", "1000"];
    let mut client = daemon.start_verb(&words);
    let sleeps = || proc::children(daemon.pid()).iter().any(|child| proc::command(*child) == "sleep");
    wait_until("the command runs", sleeps);
    daemon.stop();
    ended_with_one_line(&words, &end_by(&daemon.directory, &mut client, Signal::SIGTERM), Signal::SIGTERM);
}

#[test]
fn signal_to_exec_reaches_a_command_that_starts_late() {
    let daemon = StoppableDaemon::start();
    daemon.stop();
    let words = ["exec", "/a", "--", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.01; done"];
    let mut client = daemon.start_verb(&words);
    waits_for_daemon(&client);
    daemon.signal(Signal::SIGCONT);
    let pid = daemon.pid();
    let runs = || proc::children(pid).iter().any(|child| proc::command(*child) == "sh");
    wait_until("the command runs", runs);
    std::thread::sleep(Duration::from_millis(200));
    let (status, text) = end_by(&daemon.directory, &mut client, Signal::SIGTERM);
    assert_eq!((status.code(), text.as_str()), (Some(7), ""), "the command decides");
}
