//! `penfold serve`: the daemon's start, its end, and its way of staying up.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::{AttachCall, ExecCall, InfoCall, Method, MkdirCall, MountCall, ReadCall};

use common::{NOBODY, PENFOLD};
use penfold_testkit::{
    TempDir, is_root,
    proc::{self, lives},
    skip, wait_for, wait_until,
};

/// A daemon of one test, killed on drop.
/// A daemon of one test, killed on drop.
struct SpawnedDaemon {
    child: Child,
    socket: PathBuf,
    /// Kept until the end, for the socket.
    _scratch: TempDir,
}

fn command(socket: &Path) -> Command {
    let mut command = Command::new(PENFOLD);
    command.arg("serve").arg("--socket").arg(socket).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

impl SpawnedDaemon {
    fn start(words: &[&str]) -> SpawnedDaemon {
        SpawnedDaemon::with(|command| command.args(words))
    }

    fn with(change: impl FnOnce(&mut Command) -> &mut Command) -> SpawnedDaemon {
        let scratch = TempDir::open_to_all();
        let socket = scratch.path().join("penfold/control");
        let mut command = command(&socket);
        change(&mut command);
        let mut child = command.spawn().expect("it starts");
        wait_until("the daemon listens", || {
            assert!(child.try_wait().expect("ours").is_none(), "it has ended");
            Address::Path(socket.clone()).connect().is_ok()
        });
        SpawnedDaemon { child, socket, _scratch: scratch }
    }

    fn call<M: Method>(&self, call: &M) -> M::Reply {
        let mut connection = Connection::connect(&Address::Path(self.socket.clone())).expect("it listens");
        connection.call(call).expect("it is done")
    }

    /// A cgroup with all controllers, and a command in it that sleeps.
    fn launch(&self) -> i32 {
        self.call(&MountCall { options: "all,clone_children".into(), ..MountCall::default() });
        self.call(&MkdirCall { cgroup: "/a".into(), ..MkdirCall::default() });
        let exec = ExecCall {
            cgroups: vec!["/a".into()],
            command: vec!["sleep".into(), "1000".into()],
            ..ExecCall::default()
        };
        let pid = self.call(&exec).pid as i32;
        wait_until("it sleeps", || proc::command(pid) == "sleep");
        pid
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it lives");
    }

    /// Waits for the daemon's end, which must be in order.
    fn ended(&mut self) {
        let look = || self.child.try_wait().expect("ours");
        let status = wait_for("the daemon ends", look, Option::is_some).expect("it has ended");
        assert!(status.success(), "{status}");
    }
}

impl Drop for SpawnedDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_ends_the_daemon_and_kills_launched_commands() {
    let mut daemon = SpawnedDaemon::start(&[]);
    let pid = daemon.launch();
    daemon.signal(Signal::SIGTERM);
    daemon.ended();
    assert!(!lives(pid));
    assert!(!daemon.socket.exists());
}

#[test]
fn launched_commands_go_on_with_at_end_leave() {
    let mut daemon = SpawnedDaemon::start(&["--at-end", "leave"]);
    let pid = daemon.launch();
    daemon.signal(Signal::SIGINT);
    daemon.ended();
    assert!(lives(pid), "it goes on");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
}

#[test]
fn adopted_process_goes_on_untraced() {
    let mut daemon = SpawnedDaemon::start(&[]);
    daemon.launch();
    let mut sleeper = Command::new("sleep").arg("1000").spawn().expect("sleep");
    let pid = sleeper.id().cast_signed();
    wait_until("it sleeps", || proc::command(pid) == "sleep");
    daemon.call(&AttachCall { cgroup: "/a".into(), task: i64::from(pid), process: true });
    let read = ReadCall { cgroup: "/a".into(), file: "cgroup.procs".into() };
    assert!(daemon.call(&read).content.lines().any(|line| line == pid.to_string()));
    daemon.signal(Signal::SIGTERM);
    daemon.ended();
    assert!(lives(pid));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    assert!(status.contains("TracerPid:\t0"), "{status}");
    sleeper.kill().expect("it lives");
    sleeper.wait().expect("ours");
}

#[test]
fn sighup_ends_the_daemon_unless_under_nohup() {
    let mut daemon = SpawnedDaemon::start(&[]);
    daemon.signal(Signal::SIGHUP);
    daemon.ended();
    let scratch = TempDir::open_to_all();
    let socket = scratch.path().join("control");
    let mut inner = Command::new("nohup");
    inner.arg(PENFOLD).arg("serve").arg("--socket").arg(&socket);
    let mut child =
        inner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nohup");
    let address = Address::Path(socket);
    wait_until("it listens", || address.connect().is_ok());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGHUP).expect("it lives");
    std::thread::sleep(Duration::from_millis(200));
    assert!(Connection::connect(&address).expect("it listens").call(&InfoCall {}).is_ok());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    assert!(child.wait().expect("ours").success());
}

#[test]
fn socket_of_a_dead_daemon_only_is_taken_over() {
    let mut daemon = SpawnedDaemon::start(&[]);
    let second = command(&daemon.socket).stderr(Stdio::piped()).output().expect("it runs");
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && message.contains("serves") && message.contains("already"),
        "{message}"
    );
    daemon.call(&InfoCall {});
    daemon.child.kill().expect("it lives");
    daemon.child.wait().expect("ours");
    assert!(daemon.socket.exists(), "it was killed");
    daemon.child = command(&daemon.socket).spawn().expect("it starts");
    let address = Address::Path(daemon.socket.clone());
    wait_until("the next one listens", || address.connect().is_ok());
    let info = daemon.call(&InfoCall {});
    assert_eq!(info.pid, i64::from(daemon.child.id()));
}

#[test]
fn verb_without_a_daemon_says_how_to_start_one() {
    let scratch = TempDir::open_to_all();
    let socket = scratch.path().join("control");
    let output =
        Command::new(PENFOLD).arg("hierarchies").arg("--socket").arg(&socket).output().expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && message.contains("penfold serve"), "{message}");
}

#[test]
fn log_that_can_not_be_written_disturbs_nobody() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let daemon = SpawnedDaemon::with(|command| command.args(["--log", "trace"]).stderr(full));
    daemon.launch();
    // a pipe that nobody reads, filled
    let (_kept, writer) = std::io::pipe().expect("a pipe");
    let stuck = SpawnedDaemon::with(|command| command.args(["--log", "trace"]).stderr(writer));
    for _ in 0..3000 {
        stuck.call(&InfoCall {});
    }
    // a pipe that is closed
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut closed = SpawnedDaemon::with(|command| command.args(["--log", "trace"]).stderr(writer));
    drop(reader);
    closed.call(&InfoCall {});
    closed.signal(Signal::SIGTERM);
    closed.ended();
}

#[test]
fn log_has_the_level_of_the_environment() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut daemon = SpawnedDaemon::with(|command| command.env("PENFOLD_LOG", "debug").stderr(writer));
    daemon.call(&InfoCall {});
    daemon.signal(Signal::SIGTERM);
    daemon.ended();
    let lines: Vec<String> = BufReader::new(reader).lines().map_while(Result::ok).collect();
    assert!(lines.iter().any(|line| line.contains("org.penfold.Control.Info")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("INFO") && line.contains("serving")), "{lines:?}");
}

#[test]
fn user_without_privilege_has_a_daemon_too() {
    if !is_root() {
        return skip("another user needs root");
    }
    let place = TempDir::open_to_all();
    let runtime = place.path().join("runtime");
    fs::create_dir(&runtime).expect("a directory");
    chown(&runtime, Some(NOBODY), Some(NOBODY)).expect("given");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new(PENFOLD);
        command.args(words).env("XDG_RUNTIME_DIR", &runtime).env_remove("PENFOLD_SOCKET");
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
        command
    };
    let mut daemon = as_nobody(&["serve", "--log", "off"]).spawn().expect("it starts");
    let address = Address::Path(runtime.join("penfold/control"));
    wait_until("it listens", || address.connect().is_ok());
    assert_eq!(fs::metadata(runtime.join("penfold")).expect("there").permissions().mode() & 0o777, 0o700);
    let mut connection = Connection::connect(&address).expect("root may");
    connection
        .call(&MountCall { options: "pids".into(), ..MountCall::default() })
        .expect("its root is trusted");
    let output = as_nobody(&["mkdir", "/a"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = as_nobody(&["exec", "/a", "--", "id", "-u"]).output().expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "65534\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    assert!(daemon.wait().expect("ours").success());
}

#[test]
fn systemd_passes_the_socket_and_is_notified() {
    let scratch = TempDir::open_to_all();
    let (socket, notify) = (scratch.path().join("control"), scratch.path().join("notify"));
    let listener = UnixListener::bind(&socket).expect("a socket");
    let told = UnixDatagram::bind(&notify).expect("a socket");
    told.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    // systemd passes the socket as descriptor 3, with the child's own pid
    let script = format!("exec 3<&{0}; exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$@\"", listener.as_raw_fd());
    let inherited = listener.try_clone().expect("a copy");
    nix::fcntl::fcntl(&listener, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
        .expect("inherited");
    let mut child = Command::new("bash")
        .args(["-c", &script, "bash", PENFOLD, "serve", "--socket"])
        .arg(scratch.path().join("another"))
        .env("NOTIFY_SOCKET", &notify)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash");
    drop((listener, inherited));
    let mut message = [0; 256];
    let length = told.recv(&mut message).expect("it tells");
    assert_eq!(message[..length].trim_ascii(), b"READY=1");
    let mut connection = Connection::connect(&Address::Path(socket.clone())).expect("it listens");
    connection.call(&InfoCall {}).expect("it serves");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    assert!(child.wait().expect("ours").success());
    let length = told.recv(&mut message).expect("it tells");
    assert_eq!(message[..length].trim_ascii(), b"STOPPING=1");
    assert!(socket.exists(), "systemd keeps its socket");
}

#[test]
fn daemon_reaps_orphans() {
    let daemon = SpawnedDaemon::start(&[]);
    daemon.launch();
    let script = "(sleep 0.2 &) ; (sh -c 'sleep 0.3 & exit' &)";
    let exec = ExecCall {
        cgroups: vec!["/a".into()],
        command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        leave_running: Some(true),
        ..ExecCall::default()
    };
    daemon.call(&exec);
    let children = || {
        let pid = daemon.child.id();
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<i32>>()
    };
    std::thread::sleep(Duration::from_millis(600));
    wait_until("no zombie is left", || children().into_iter().all(lives));
}

#[test]
fn idle_clients_cost_no_time() {
    let daemon = SpawnedDaemon::start(&[]);
    daemon.launch();
    let mut clients: Vec<Connection> = (0..100)
        .map(|_| Connection::connect(&Address::Path(daemon.socket.clone())).expect("it listens"))
        .collect();
    // a client that has an answer has been accepted
    for client in &mut clients {
        client.call(&InfoCall {}).expect("it answers");
    }
    std::thread::sleep(Duration::from_millis(300));
    let used = || {
        let mut text = String::new();
        let path = format!("/proc/{}/stat", daemon.child.id());
        File::open(path).and_then(|mut file| file.read_to_string(&mut text)).expect("it lives");
        let rest = text.rsplit(')').next().expect("fields").to_owned();
        let field = |number: usize| rest.split_whitespace().nth(number).and_then(|it| it.parse::<u64>().ok());
        field(11).expect("utime") + field(12).expect("stime")
    };
    let before = used();
    std::thread::sleep(Duration::from_secs(2));
    let ticks = used() - before;
    assert!(ticks <= 2, "{ticks} ticks of 10 ms in two seconds");
    drop(clients);
}
