//! The rights of another user: the rules of owner and mode, as of files, and of kill(2).

mod common;

use std::process::Command;

use penfold_server::protocol::{AttachCall, MkdirCall, SetOwnerCall, SignalCall};

use common::{HostKind, InProcessDaemon, NOBODY, has_root, on_each_host};
use penfold_testkit::{OutsideProcess, proc::lives, skip_even_in_ci};

on_each_host! {
    only_the_administrator_mounts,
    owner_and_mode_decide_over_directories_and_files,
    every_step_of_a_path_must_be_searchable,
    user_moves_and_signals_only_own_processes,
    root_in_a_user_namespace_is_no_administrator,
    client_uses_the_numbers_of_its_pid_namespace,
}

/// Calls a method as the user nobody. Returns the errno, or the whole answer if the call is not refused.
fn nobody(daemon: &InProcessDaemon, method: &str, parameters: &str) -> String {
    let answer = daemon.as_user(NOBODY, method, parameters);
    let name = answer.split("\"name\":\"").nth(1).and_then(|rest| rest.split('"').next());
    match name.filter(|_| answer.contains("Control.Refused")) {
        Some(name) => name.to_owned(),
        None => answer,
    }
}

const DONE: &str = "{\"parameters\":{}}\n";

fn only_the_administrator_mounts(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    assert_eq!(nobody(&daemon, "Mount", r#"{"options":"none,name=x"}"#), "EPERM");
    assert_eq!(nobody(&daemon, "Remount", r#"{"hierarchy":"1","options":"all"}"#), "EPERM");
    assert_eq!(nobody(&daemon, "Unmount", r#"{"hierarchy":"1"}"#), "EPERM");
    assert!(nobody(&daemon, "Hierarchies", "{}").contains("\"id\":1"));
}

fn owner_and_mode_decide_over_directories_and_files(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/theirs");
    daemon.mkdir("/ours");
    daemon.mkdir("/ours/deep");
    daemon.give("/theirs", NOBODY);
    for (method, parameters) in [
        ("Mkdir", r#"{"cgroup":"/x"}"#),
        ("Mkdir", r#"{"cgroup":"/ours/x"}"#),
        ("Rmdir", r#"{"cgroup":"/ours/deep"}"#),
        ("Rename", r#"{"cgroup":"/ours/deep","name":"x"}"#),
        ("Write", r#"{"cgroup":"/ours","file":"pids.max","content":"1"}"#),
        ("Attach", r#"{"cgroup":"/ours","task":0,"process":true}"#),
        ("Exec", r#"{"cgroups":["/ours"],"command":["true"],"environment":[],"streams":[]}"#),
    ] {
        assert_eq!(nobody(&daemon, method, parameters), "EACCES", "{method} {parameters}");
    }
    assert_eq!(nobody(&daemon, "SetOwner", r#"{"cgroup":"/ours","mode":511}"#), "EPERM");
    assert_eq!(nobody(&daemon, "Write", r#"{"cgroup":"/","file":"release_agent","content":"/x"}"#), "EACCES");
    assert!(nobody(&daemon, "Read", r#"{"cgroup":"/ours","file":"pids.max"}"#).contains("max"));
    assert_eq!(nobody(&daemon, "Mkdir", r#"{"cgroup":"/theirs/x","mode":448}"#), DONE);
    assert_eq!(nobody(&daemon, "Write", r#"{"cgroup":"/theirs/x","file":"pids.max","content":"1"}"#), DONE);
    assert_eq!(nobody(&daemon, "SetOwner", r#"{"cgroup":"/theirs","mode":493}"#), DONE);
    assert_eq!(nobody(&daemon, "SetOwner", r#"{"cgroup":"/theirs","uid":0}"#), "EPERM");
    let owner = nobody(&daemon, "Stat", r#"{"cgroup":"/theirs/x"}"#);
    assert!(owner.contains("\"uid\":65534,\"gid\":65534,\"mode\":448"), "{owner}");
}

fn every_step_of_a_path_must_be_searchable(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    daemon.call(&MkdirCall { cgroup: "/closed".into(), mode: Some(0o700), parents: None });
    daemon.mkdir("/closed/in");
    for (method, parameters) in [
        ("Stat", r#"{"cgroup":"/closed/in"}"#),
        ("Read", r#"{"cgroup":"/closed","file":"pids.max"}"#),
        ("Read", r#"{"cgroup":"/closed/in","file":"pids.max"}"#),
        ("Files", r#"{"cgroup":"/closed"}"#),
        ("List", r#"{"cgroup":"/closed","recursive":true}"#),
        ("Usage", r#"{"cgroup":"/closed"}"#),
        ("Tasks", r#"{"cgroup":"/closed"}"#),
        ("Signal", r#"{"cgroup":"/closed/in","signal":9}"#),
        ("Kill", r#"{"cgroup":"/closed/in"}"#),
    ] {
        assert_eq!(nobody(&daemon, method, parameters), "EACCES", "{method} {parameters}");
    }
    assert!(nobody(&daemon, "Stat", r#"{"cgroup":"/closed"}"#).contains("448"));
    let listed = nobody(&daemon, "List", r#"{"cgroup":"/","recursive":true}"#);
    assert!(listed.contains("/closed") && !listed.contains("/closed/in"), "{listed}");
    // the right to search a directory does not include the right to list it
    let mode = SetOwnerCall { cgroup: "/closed".into(), mode: Some(0o711), ..SetOwnerCall::default() };
    daemon.call(&mode);
    assert!(nobody(&daemon, "Stat", r#"{"cgroup":"/closed/in"}"#).contains("493"));
    assert_eq!(nobody(&daemon, "Files", r#"{"cgroup":"/closed"}"#), "EACCES");
}

fn user_moves_and_signals_only_own_processes(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/theirs");
    daemon.give("/theirs", NOBODY);
    daemon.call(&SetOwnerCall {
        cgroup: "/theirs".into(),
        file: Some("cgroup.procs".into()),
        uid: Some(i64::from(NOBODY)),
        ..SetOwnerCall::default()
    });
    let (roots, theirs) = (OutsideProcess::sleeping_as(0), OutsideProcess::sleeping_as(NOBODY));
    let attach = |pid| format!(r#"{{"cgroup":"/theirs","task":{pid},"process":true}}"#);
    assert_eq!(nobody(&daemon, "Attach", &attach(roots.pid())), "EACCES");
    assert_eq!(nobody(&daemon, "Attach", &attach(theirs.pid())), DONE);
    daemon.call(&AttachCall { cgroup: "/theirs".into(), task: i64::from(roots.pid()), process: true });
    assert_eq!(nobody(&daemon, "Signal", r#"{"cgroup":"/theirs","signal":9}"#), "EPERM");
    assert_eq!(nobody(&daemon, "Kill", r#"{"cgroup":"/theirs"}"#), "EPERM");
    assert!(lives(roots.pid()) && lives(theirs.pid()), "nobody was signalled");
    daemon.call(&AttachCall { cgroup: "/".into(), task: i64::from(roots.pid()), process: true });
    assert!(nobody(&daemon, "Kill", r#"{"cgroup":"/theirs"}"#).contains("\"processes\":1"));
    assert!(lives(roots.pid()) && !lives(theirs.pid()));
    let all = SignalCall { cgroup: "/theirs".into(), signal: 9, recursive: Some(true) };
    assert_eq!(daemon.call(&all).processes, 0);
}

fn root_in_a_user_namespace_is_no_administrator(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    let client = daemon.client("Mount", r#"{"options":"none,name=x"}"#);
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user"]).arg(client.get_program()).args(client.get_args());
    let output = inside.output().expect("unshare");
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return skip_even_in_ci(&format!("no user namespaces here: {error}"));
    }
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(answer.contains("EPERM"), "{answer}");
}

fn client_uses_the_numbers_of_its_pid_namespace(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    let call = |method, parameters| {
        let client = daemon.client(method, parameters);
        let words: Vec<_> = client.get_args().map(|word| format!("'{}'", word.to_string_lossy())).collect();
        format!("{} {}", client.get_program().to_string_lossy(), words.join(" "))
    };
    let script = format!(
        "sleep 1000 & {}; {}; {}; kill $!",
        call("Attach", r#"{"cgroup":"/a","task":2,"process":true}"#),
        call("Read", r#"{"cgroup":"/a","file":"cgroup.procs"}"#),
        call("Attach", r#"{"cgroup":"/a","task":77777,"process":true}"#),
    );
    let output =
        Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "sh", "-c", &script]).output();
    let output = output.expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["{\"parameters\":{}}", "{\"parameters\":{\"content\":\"2\\n\"}}"], "{text}");
    assert!(lines[2].contains("ESRCH"), "{text}");
}
