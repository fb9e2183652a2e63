//! `penfold serve`: how it begins, ends and stays up.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::{AttachCall, ExecCall, InfoCall, Method, MkdirCall, MountCall, ReadCall};

use common::{NOBODY, PENFOLD, Scratch, is_root, skipped};

struct Served {
    child: Child,
    socket: PathBuf,
    /// Removed in the end.
    _scratch: Scratch,
}

fn command(socket: &Path) -> Command {
    let mut command = Command::new(PENFOLD);
    command.arg("serve").arg("--socket").arg(socket).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

impl Served {
    fn start(words: &[&str]) -> Served {
        Served::with(|command| command.args(words))
    }

    fn with(change: impl FnOnce(&mut Command) -> &mut Command) -> Served {
        let scratch = Scratch::new();
        let socket = scratch.path().join("penfold/control");
        let mut command = command(&socket);
        change(&mut command);
        let mut child = command.spawn().expect("it starts");
        let began = Instant::now();
        while Address::Path(socket.clone()).connect().is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not listen");
            assert!(child.try_wait().expect("ours").is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(5));
        }
        Served { child, socket, _scratch: scratch }
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
        until("it sleeps", || comm(pid) == "sleep");
        pid
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it lives");
    }

    /// Waits for its end, which must be in order.
    fn ended(&mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("ours") {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn lives(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < Duration::from_secs(20), "not reached: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn term_ends_it_in_order_and_kills_what_it_launched() {
    let mut served = Served::start(&[]);
    let pid = served.launch();
    served.signal(Signal::SIGTERM);
    served.ended();
    assert!(!lives(pid));
    assert!(!served.socket.exists());
}

#[test]
fn at_end_leave_lets_launched_commands_go_on() {
    let mut served = Served::start(&["--at-end", "leave"]);
    let pid = served.launch();
    served.signal(Signal::SIGINT);
    served.ended();
    assert!(lives(pid), "it goes on");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
}

#[test]
fn an_adopted_process_goes_on_untraced() {
    let mut served = Served::start(&[]);
    served.launch();
    let mut sleeper = Command::new("sleep").arg("1000").spawn().expect("sleep");
    let pid = sleeper.id().cast_signed();
    until("it sleeps", || comm(pid) == "sleep");
    served.call(&AttachCall { cgroup: "/a".into(), task: i64::from(pid), process: true });
    let read = ReadCall { cgroup: "/a".into(), file: "cgroup.procs".into() };
    assert!(served.call(&read).content.lines().any(|line| line == pid.to_string()));
    served.signal(Signal::SIGTERM);
    served.ended();
    assert!(lives(pid));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    assert!(status.contains("TracerPid:\t0"), "{status}");
    sleeper.kill().expect("it lives");
    sleeper.wait().expect("ours");
}

#[test]
fn hup_ends_it_unless_it_was_started_with_nohup() {
    let mut served = Served::start(&[]);
    served.signal(Signal::SIGHUP);
    served.ended();
    let scratch = Scratch::new();
    let socket = scratch.path().join("control");
    let mut inner = Command::new("nohup");
    inner.arg(PENFOLD).arg("serve").arg("--socket").arg(&socket);
    let mut child =
        inner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nohup");
    let address = Address::Path(socket);
    until("it listens", || address.connect().is_ok());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGHUP).expect("it lives");
    std::thread::sleep(Duration::from_millis(200));
    assert!(Connection::connect(&address).expect("it listens").call(&InfoCall {}).is_ok());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    assert!(child.wait().expect("ours").success());
}

#[test]
fn a_second_daemon_at_the_same_place_is_refused_and_a_dead_ones_place_is_taken() {
    let mut served = Served::start(&[]);
    let second = command(&served.socket).stderr(Stdio::piped()).output().expect("it runs");
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && message.contains("serves") && message.contains("already"),
        "{message}"
    );
    served.call(&InfoCall {});
    served.child.kill().expect("it lives");
    served.child.wait().expect("ours");
    assert!(served.socket.exists(), "it was killed");
    served.child = command(&served.socket).spawn().expect("it starts");
    let address = Address::Path(served.socket.clone());
    until("the next one listens", || address.connect().is_ok());
    let info = served.call(&InfoCall {});
    assert_eq!(info.pid, i64::from(served.child.id()));
}

#[test]
fn without_a_daemon_a_verb_says_how_to_start_one() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("control");
    let output =
        Command::new(PENFOLD).arg("hierarchies").arg("--socket").arg(&socket).output().expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && message.contains("penfold serve"), "{message}");
}

#[test]
fn a_log_that_can_not_be_written_disturbs_nobody() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let served = Served::with(|command| command.args(["--log", "trace"]).stderr(full));
    served.launch();
    // a pipe that nobody reads, filled
    let (_kept, writer) = std::io::pipe().expect("a pipe");
    let stuck = Served::with(|command| command.args(["--log", "trace"]).stderr(writer));
    for _ in 0..3000 {
        stuck.call(&InfoCall {});
    }
    // and one that is closed
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut closed = Served::with(|command| command.args(["--log", "trace"]).stderr(writer));
    drop(reader);
    closed.call(&InfoCall {});
    closed.signal(Signal::SIGTERM);
    closed.ended();
}

#[test]
fn the_log_says_what_is_asked_for() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut served = Served::with(|command| command.env("PENFOLD_LOG", "debug").stderr(writer));
    served.call(&InfoCall {});
    served.signal(Signal::SIGTERM);
    served.ended();
    let lines: Vec<String> = BufReader::new(reader).lines().map_while(Result::ok).collect();
    assert!(lines.iter().any(|line| line.contains("org.penfold.Control.Info")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("INFO") && line.contains("serving")), "{lines:?}");
}

#[test]
fn a_user_without_privilege_has_a_daemon_too() {
    if !is_root() {
        return skipped("another user needs root");
    }
    let place = Scratch::new();
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
    until("it listens", || address.connect().is_ok());
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
fn systemd_passes_the_socket_and_is_told_when_it_is_ready() {
    let scratch = Scratch::new();
    let (socket, notify) = (scratch.path().join("control"), scratch.path().join("notify"));
    let listener = UnixListener::bind(&socket).expect("a socket");
    let told = UnixDatagram::bind(&notify).expect("a socket");
    told.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    // the number that systemd uses, and the pid that it writes, are the child's own
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
fn orphans_that_nobody_waits_for_are_reaped() {
    let served = Served::start(&[]);
    served.launch();
    let script = "(sleep 0.2 &) ; (sh -c 'sleep 0.3 & exit' &)";
    let exec = ExecCall {
        cgroups: vec!["/a".into()],
        command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        leave_running: Some(true),
        ..ExecCall::default()
    };
    served.call(&exec);
    let children = || {
        let pid = served.child.id();
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<i32>>()
    };
    std::thread::sleep(Duration::from_millis(600));
    until("no zombie is left", || children().into_iter().all(lives));
}

#[test]
fn idle_clients_cost_no_time() {
    let served = Served::start(&[]);
    served.launch();
    let mut clients: Vec<Connection> = (0..100)
        .map(|_| Connection::connect(&Address::Path(served.socket.clone())).expect("it listens"))
        .collect();
    // each has been accepted when it is answered
    for client in &mut clients {
        client.call(&InfoCall {}).expect("it answers");
    }
    std::thread::sleep(Duration::from_millis(300));
    let used = || {
        let mut text = String::new();
        let path = format!("/proc/{}/stat", served.child.id());
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
