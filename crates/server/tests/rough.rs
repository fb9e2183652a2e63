//! Clients that break the protocol, are slow, or die: none disturbs the others.

mod common;

use std::io::{IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use penfold_server::connection::{CallError, Connection};
use penfold_server::control::Limits;
use penfold_server::protocol::{InfoCall, WriteCall};

use common::{HostKind, InProcessDaemon, on_each_host};
use penfold_testkit::wait_until;

on_each_host! {
    message_that_is_no_call_closes_the_connection,
    wrong_call_names_its_fault_and_keeps_the_connection,
    too_long_request_is_refused,
    client_that_dies_in_a_call_is_forgotten,
    thousand_connections_at_once_are_served,
    one_user_can_not_take_all_connections,
    stuck_client_delays_no_other_and_is_closed,
    wrong_or_too_many_descriptors_are_refused,
}

/// Sends a message and reads one answer; empty if there is none.
fn answer(stream: &mut UnixStream, message: &str) -> String {
    let _ = stream.write_all(message.as_bytes());
    let mut answer = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|length| length == 1) && byte[0] != 0 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).expect("JSON")
}

fn still_serves(daemon: &InProcessDaemon) {
    let began = Instant::now();
    daemon.call(&InfoCall {});
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
}

/// The answer to a call with this parameter wrong.
fn invalid(parameter: &str) -> String {
    let error = "org.varlink.service.InvalidParameter";
    format!(r#"{{"error":"{error}","parameters":{{"parameter":"{parameter}"}}}}"#)
}

fn message_that_is_no_call_closes_the_connection(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    for (wrong, member) in [
        ("\0", "call"),
        ("{\0", "call"),
        ("[1]\0", "call"),
        ("null\0", "call"),
        ("{\"method\":5}\0", "method"),
        ("{\"parameters\":{}}\0", "method"),
        ("{\"method\":\"x.y\",\"more\":\"yes\"}\0", "more"),
        ("\u{1}\0", "call"),
    ] {
        let mut stream = daemon.stream();
        assert_eq!(answer(&mut stream, wrong), invalid(member), "{wrong:?}");
        assert_eq!(stream.read(&mut [0]).expect("closed"), 0, "{wrong:?}");
    }
    let mut stream = daemon.stream();
    stream.write_all(b"\xff\xfe\0").expect("sent");
    assert!(answer(&mut stream, "").contains("InvalidParameter"));
    let nested =
        format!("{{\"method\":\"x.y\",\"parameters\":{}1{}}}\0", "[".repeat(200_000), "]".repeat(200_000));
    let _ = answer(&mut daemon.stream(), &nested);
    still_serves(&daemon);
}

fn wrong_call_names_its_fault_and_keeps_the_connection(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let mut stream = daemon.stream();
    for (call, expected) in [
        (r#"{"method":"org.penfold.Control.Nothing"}"#, "MethodNotFound"),
        (r#"{"method":"org.example.Other.Call"}"#, "InterfaceNotFound"),
        (r#"{"method":"nothing"}"#, "InterfaceNotFound"),
        (r#"{"method":"org.penfold.Control.Watch"}"#, "ExpectedMore"),
        (r#"{"method":"org.varlink.service.GetInterfaceDescription"}"#, "InvalidParameter"),
        (r#"{"method":"org.penfold.Control.Info","parameters":null}"#, "version"),
    ] {
        let text = answer(&mut stream, &format!("{call}\0"));
        assert!(text.contains(expected), "{call}: {text}");
    }
    for (method, parameters, parameter) in [
        ("Mkdir", "{}", "cgroup"),
        ("Mkdir", r#"{"cgroup":5}"#, "cgroup"),
        ("Mkdir", r#"{"cgroup":null}"#, "cgroup"),
        ("Mkdir", "[]", "parameters"),
        ("Mkdir", r#"{"cgroup":"/a","x":1}"#, "x"),
        ("Mkdir", r#"{"cgroup":"/a","mode":"0755"}"#, "mode"),
        ("Mkdir", r#"{"cgroup":"/a","mode":-1}"#, "mode"),
        ("Mkdir", r#"{"cgroup":"/a","mode":4294967296}"#, "mode"),
        ("Mkdir", r#"{"cgroup":"/a","parents":"yes"}"#, "parents"),
        ("SetOwner", r#"{"cgroup":"/","uid":99999999999999999999}"#, "uid"),
        ("SetOwner", r#"{"cgroup":"/","gid":4294967296}"#, "gid"),
        ("List", r#"{"cgroup":"/","depth":-1}"#, "depth"),
        ("Signal", r#"{"cgroup":"/","signal":9999999999}"#, "signal"),
        ("Attach", r#"{"cgroup":"/","task":4294967296,"process":true}"#, "task"),
        ("Attach", r#"{"cgroup":"/","task":1}"#, "process"),
        ("Proc", r#"{"file":"cgroup","task":-4294967296}"#, "task"),
        ("Exec", r#"{"cgroups":["/",7],"command":[],"environment":[],"streams":[]}"#, "cgroups[1]"),
        (
            "Exec",
            r#"{"cgroups":["/"],"command":["x"],"environment":[{"name":"A"}],"streams":[]}"#,
            "environment[0].value",
        ),
        ("Exec", r#"{"cgroups":["/"],"command":["x"],"environment":[],"streams":[0,1,"2"]}"#, "streams[2]"),
        ("Watch", r#"{"cgroup":5}"#, "cgroup"),
    ] {
        let call = format!(r#"{{"method":"org.penfold.Control.{method}","parameters":{parameters}}}"#);
        assert_eq!(answer(&mut stream, &format!("{call}\0")), invalid(parameter), "{call}");
    }
    let upgrade = r#"{"method":"org.penfold.Control.Info","upgrade":true}"#;
    assert_eq!(answer(&mut stream, &format!("{upgrade}\0")), invalid("upgrade"));
    // a oneway call is done, and not answered
    let oneway =
        "{\"method\":\"org.penfold.Control.Mkdir\",\"parameters\":{\"cgroup\":\"/a\"},\"oneway\":true}\0";
    assert!(
        answer(&mut stream, &format!("{oneway}{{\"method\":\"org.penfold.Control.Info\"}}\0"))
            .contains("version")
    );
    assert_eq!(daemon.names("/"), ["/", "/a"]);
}

fn too_long_request_is_refused(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let long = WriteCall { content: "x".repeat(2 << 20), ..WriteCall::default() };
    assert!(matches!(daemon.try_call(&long), Err(CallError::TooMuch(_) | CallError::Transport(_))));
    let just = WriteCall { content: "x".repeat(1 << 19), cgroup: "/".into(), file: "tasks".into() };
    assert_eq!(daemon.refused(&just), "E2BIG");
    still_serves(&daemon);
}

fn client_that_dies_in_a_call_is_forgotten(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    for _ in 0..50 {
        let mut stream = daemon.stream();
        stream.write_all(b"{\"method\":\"org.penfold").expect("sent");
        drop(stream);
        let mut stream = daemon.stream();
        // the client dies before the answer comes
        stream.write_all(b"{\"method\":\"org.penfold.Control.Subsystems\"}\0").expect("sent");
    }
    wait_until("all are gone", || daemon.running().connections() == 0);
    still_serves(&daemon);
}

fn thousand_connections_at_once_are_served(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let mut connections: Vec<Connection> = (0..1000).map(|_| daemon.connect()).collect();
    for _ in 0..2 {
        for connection in &mut connections {
            connection.call(&InfoCall {}).expect("each is served");
        }
    }
    assert_eq!(daemon.running().connections(), 1000);
    drop(connections);
    wait_until("all are gone", || daemon.running().connections() == 0);
}

fn one_user_can_not_take_all_connections(host: HostKind) {
    if !common::has_root() {
        return;
    }
    let daemon = InProcessDaemon::with(host, Limits { connections_of_user: 2, ..Limits::default() });
    let mut watching: Vec<_> = (0..2)
        .map(|_| {
            let mut client = daemon.client("Watch", "{}");
            client.arg("more").stdout(std::process::Stdio::null());
            std::os::unix::process::CommandExt::uid(&mut client, common::NOBODY).spawn().expect("a client")
        })
        .collect();
    wait_until("both are there", || daemon.running().connections() == 2);
    let answer = daemon.as_user(common::NOBODY, "Info", "{}");
    assert!(answer.contains("TooMuch"), "{answer}");
    still_serves(&daemon);
    for client in &mut watching {
        client.kill().expect("it lives");
        client.wait().expect("it is ours");
    }
    wait_until("they are gone", || daemon.running().connections() == 0);
    assert!(daemon.as_user(common::NOBODY, "Info", "{}").contains("version"));
}

fn stuck_client_delays_no_other_and_is_closed(host: HostKind) {
    let daemon =
        InProcessDaemon::with(host, Limits { patience: Duration::from_millis(300), ..Limits::default() });
    // this client fills its socket with answers that it does not read
    let mut deaf = daemon.stream();
    let calls = "{\"method\":\"org.penfold.Control.Subsystems\"}\0".repeat(20_000);
    deaf.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let _ = deaf.write_all(calls.as_bytes());
    // this client stops in the middle of a message
    let mut stopped = daemon.stream();
    stopped.write_all(b"{\"method\":").expect("sent");
    still_serves(&daemon);
    wait_until("both are closed", || daemon.running().connections() == 0);
    // a client that is silent between messages stays connected
    let mut silent = daemon.connect();
    let mut client = daemon
        .client("Watch", "{}")
        .arg("more")
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    wait_until("it watches", || daemon.running().connections() == 2);
    let pid = Pid::from_raw(client.id().cast_signed());
    kill(pid, Signal::SIGSTOP).expect("stopped");
    for _ in 0..20 {
        daemon.mkdir("/x");
        daemon.call(&penfold_server::protocol::RmdirCall { cgroup: "/x".into(), recursive: None });
    }
    silent.call(&InfoCall {}).expect("still connected");
    kill(pid, Signal::SIGKILL).expect("killed");
    client.wait().expect("it is ours");
}

fn wrong_or_too_many_descriptors_are_refused(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let count = || std::fs::read_dir("/proc/self/fd").expect("ours").count();
    let pass = |stream: &UnixStream, text: &[u8], number: usize| {
        let rights = vec![stream.as_raw_fd(); number];
        let parts = [IoSlice::new(text)];
        let rights = [ControlMessage::ScmRights(&rights)];
        sendmsg::<()>(stream.as_raw_fd(), &parts, &rights, MsgFlags::empty(), None).expect("sent");
    };
    let mut stream = daemon.stream();
    pass(&stream, b"{\"method\":\"org.penfold.Control.Info\"}\0", 3);
    assert!(answer(&mut stream, "").contains("version"));
    let before = count();
    for (streams, expected) in
        [("[0,1,2]", "EBADF"), ("[0,0,-1]", "EBADF"), ("[0]", "EINVAL"), ("[0,0,99999]", "EBADF")]
    {
        let call = format!(
            "{{\"method\":\"org.penfold.Control.Exec\",\"parameters\":{{\"cgroups\":[],\"command\":[\"true\"],\
             \"environment\":[],\"streams\":{streams}}}}}\0"
        );
        pass(&stream, call.as_bytes(), 2);
        let text = answer(&mut stream, "");
        assert!(text.contains(expected), "{streams}: {text}");
    }
    wait_until("none is kept", || count() <= before);
    let mut stream = daemon.stream();
    pass(&stream, b"{", 20);
    assert!(answer(&mut stream, "").contains("TooMuch"));
}
