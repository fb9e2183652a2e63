//! Commands that run in cgroups with the rights of the caller.

mod common;

use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use penfold_server::connection::CallError;
use penfold_server::protocol::{EnvironmentInfo, ExecCall, KillCall};

use common::{HostKind, InProcessDaemon, NOBODY, has_root};
use penfold_testkit::{
    proc::{self, lives},
    wait_until,
};

fn call(cgroup: &str, script: &str) -> ExecCall {
    let path = EnvironmentInfo { name: "PATH".into(), value: "/usr/bin:/bin".into() };
    ExecCall {
        cgroups: vec![cgroup.to_owned()],
        command: ["sh", "-c", script].map(str::to_owned).into(),
        environment: vec![path],
        streams: vec![0, 1, 1],
        ..ExecCall::default()
    }
}

/// Runs a command to its end. Returns the wait status and the command's output.
fn run(daemon: &InProcessDaemon, call: &ExecCall) -> (i64, String) {
    let (output, theirs) = std::io::pipe().expect("a pipe");
    let null = std::fs::File::open("/dev/null").expect("null");
    let mut connection = daemon.connect();
    let files = [null.as_fd(), theirs.as_fd()];
    let replies: Vec<_> = connection.call_more(call, &files).expect("sent").collect();
    drop(theirs);
    let last = replies.into_iter().last().expect("an answer").expect("it runs");
    (last.status.expect("the last answer has the status"), read(output))
}

fn read(mut pipe: PipeReader) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn command_gets_the_parameters_of_its_call() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    let mut exec = call("/a", "pwd; echo \"$PATH,$MORE\"; echo $$; exit 3");
    exec.environment.push(EnvironmentInfo { name: "MORE".into(), value: "x y".into() });
    exec.directory = Some("/usr".into());
    let (status, text) = run(&daemon, &exec);
    assert_eq!(status, 3 << 8);
    assert!(text.starts_with("/usr\n/usr/bin:/bin,x y\n"), "{text}");
    let (_, text) = run(&daemon, &call("/a", "pwd"));
    assert_eq!(
        text.trim(),
        std::env::current_dir().expect("ours").to_string_lossy(),
        "the caller's directory"
    );
    let (_, text) = run(&daemon, &call("/a", "exec ls /proc/self/fd"));
    assert_eq!(text, "0\n1\n2\n3\n", "3 is the directory that is listed");
    let (_, text) = run(&daemon, &ExecCall { umask: Some(0o027), ..call("/a", "umask") });
    assert_eq!(text, "0027\n");
    let (_, text) = run(&daemon, &call("/a", "ulimit -n; ulimit -c"));
    let own = |resource| nix::sys::resource::getrlimit(resource).expect("ours").0;
    let number = |limit: u64| if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() };
    let files = number(own(nix::sys::resource::Resource::RLIMIT_NOFILE));
    assert_eq!(text.lines().next(), Some(&*files), "the caller's limits");
    let (status, _) = run(&daemon, &call("/a", "kill -9 $$"));
    assert_eq!(status, 9);
}

#[test]
fn running_command_is_a_member_with_the_clients_streams() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    let (theirs, mut input) = std::io::pipe().expect("a pipe");
    let (output, written) = std::io::pipe().expect("a pipe");
    let reply = daemon
        .connect()
        .call_with(&call("/a", "read line; echo got $line"), &[theirs.as_fd(), written.as_fd()]);
    let pid = reply.expect("it runs").pid as i32;
    drop((theirs, written));
    assert_eq!(daemon.processes("/a"), [pid]);
    input.write_all(b"this\n").expect("it reads");
    assert_eq!(read(output), "got this\n");
    wait_until("it has ended", || daemon.processes("/a").is_empty());
}

#[test]
fn command_that_cannot_run_is_refused_with_the_errno() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    let refused = |exec: &ExecCall| match daemon.connect().call_more(exec, &[]).expect("sent").last() {
        Some(Err(CallError::Refused(failure))) => failure.errno_name(),
        other => panic!("{other:?}"),
    };
    let base = ExecCall { streams: vec![], ..call("/a", "true") };
    assert_eq!(refused(&ExecCall { command: vec!["/no/such/program".into()], ..base.clone() }), "ENOENT");
    assert_eq!(refused(&ExecCall { command: vec!["/etc/passwd".into()], ..base.clone() }), "EACCES");
    assert_eq!(refused(&ExecCall { command: vec![], ..base.clone() }), "EINVAL");
    assert_eq!(refused(&ExecCall { command: vec!["a\\000b".into()], ..base.clone() }), "EINVAL");
    assert_eq!(refused(&ExecCall { directory: Some("relative".into()), ..base.clone() }), "EINVAL");
    assert_eq!(refused(&ExecCall { directory: Some("/no/such".into()), ..base.clone() }), "ENOENT");
    assert_eq!(refused(&ExecCall { terminal: Some(true), ..base.clone() }), "ENOTTY");
    assert_eq!(refused(&ExecCall { cgroups: vec!["/a".into(), "/".into()], ..base.clone() }), "EINVAL");
    assert_eq!(refused(&ExecCall { cgroups: vec!["/b".into()], ..base.clone() }), "ENOENT");
    daemon.write("/a", "pids.max", "0");
    assert_eq!(daemon.processes("/a"), [0_i32; 0]);
}

#[test]
fn command_gets_the_passed_terminal_as_its_own() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let exec = ExecCall {
        terminal: Some(true),
        streams: vec![0, 0, 0],
        ..call("/a", "tty; ps -o tty=,sid=,pid= -p $$ || true; stty size")
    };
    let mut connection = daemon.connect();
    let replies: Vec<_> = connection.call_more(&exec, &[pty.slave.as_fd()]).expect("sent").collect();
    let last = replies.into_iter().last().expect("an answer").expect("it runs");
    assert_eq!(last.status, Some(0));
    let slave: OwnedFd = pty.slave;
    let name = nix::unistd::ttyname(&slave).expect("its name");
    let mut text = vec![0; 4096];
    let length = nix::unistd::read(&pty.master, &mut text).expect("its output");
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    assert!(text.starts_with(&*name.to_string_lossy()), "{text}");
}

#[test]
fn leave_running_decides_over_processes_left_behind() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let (_, text) = run(&daemon, &call("/a", script));
    assert!(!lives(text.trim().parse().expect("a pid")));
    let (_, text) = run(&daemon, &ExecCall { leave_running: Some(true), ..call("/a", script) });
    let pid: i32 = text.trim().parse().expect("a pid");
    assert!(lives(pid));
    assert_eq!(daemon.processes("/a"), [pid]);
    assert_eq!(daemon.call(&KillCall { cgroup: "/a".into() }).processes, 1);
    assert!(!lives(pid));
}

#[test]
fn command_has_the_rights_of_the_caller() {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    let parameters = r#"{"cgroups":[],"command":["sh","-c","id -u; id -g; id -G; exec sleep 1000"],"environment":[],"streams":[]}"#;
    let answer = daemon.as_user(NOBODY, "Exec", parameters);
    let pid: i32 =
        answer.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok()).expect("a pid");
    wait_until("it sleeps", || proc::command(pid) == "sleep");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    for line in
        ["Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000"]
    {
        assert!(status.contains(line), "{line}: {status}");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("it lives");
}

#[test]
fn confined_caller_cannot_run_a_command_outside() {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(HostKind::Trace);
    let client = daemon.client("Exec", r#"{"cgroups":[],"command":["true"],"environment":[],"streams":[]}"#);
    for wrapper in [
        &["setpriv", "--no-new-privs"][..],
        &["setpriv", "--bounding-set", "-sys_admin"],
        &["unshare", "--net"],
        &["unshare", "--mount"],
        &["unshare", "--pid", "--fork"],
    ] {
        let output = Command::new(wrapper[0])
            .args(&wrapper[1..])
            .arg(client.get_program())
            .args(client.get_args())
            .output()
            .expect("the wrapper runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            answer.contains("EPERM"),
            "{wrapper:?}: {answer} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
