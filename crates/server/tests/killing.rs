//! The methods `Kill` and `Watch`.

mod common;

use std::time::{Duration, Instant};

use penfold_server::connection::Connection;
use penfold_server::control::Limits;
use penfold_server::protocol::{EnvironmentInfo, EventInfo, ExecCall, KillCall, RmdirCall, WatchCall};

use common::{HostKind, InProcessDaemon, on_each_host};
use penfold_testkit::{
    proc::{self, lives},
    wait_until,
};

on_each_host! {
    watcher_gets_creations_and_removals_below,
    slow_watcher_learns_how_many_events_it_lost,
}

fn start(daemon: &InProcessDaemon, cgroup: &str, script: &str) -> i32 {
    let exec = ExecCall {
        cgroups: vec![cgroup.to_owned()],
        command: ["sh", "-c", script].map(str::to_owned).into(),
        environment: vec![EnvironmentInfo { name: "PATH".into(), value: "/usr/bin:/bin".into() }],
        ..ExecCall::default()
    };
    daemon.call(&exec).pid as i32
}

#[test]
fn kill_ends_a_fork_bomb() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/bomb");
    daemon.mkdir("/bomb/below");
    daemon.write("/bomb", "pids.max", "40");
    // Python, because a shell that can't fork ends
    let bomb = r"exec /usr/bin/python3 -c '
import os, signal, time
for name in signal.SIGTERM, signal.SIGHUP: signal.signal(name, signal.SIG_IGN)
while True:
    try: os.fork()
    except BlockingIOError: time.sleep(0.01)'";
    let pid = start(&daemon, "/bomb/below", bomb);
    wait_until("it bombs", || daemon.processes("/bomb/below").len() > 20);
    let began = Instant::now();
    let killed = daemon.call(&KillCall { cgroup: "/bomb".into() }).processes;
    assert!(killed > 20, "{killed}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(daemon.processes("/bomb/below").is_empty() && !lives(pid));
    daemon.call(&RmdirCall { cgroup: "/bomb".into(), recursive: Some(true) });
}

#[test]
fn kill_ends_a_frozen_cgroup() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/ice");
    let pid = start(&daemon, "/ice", "exec sleep 1000");
    wait_until("it sleeps", || proc::command(pid) == "sleep");
    daemon.write("/ice", "freezer.state", "FROZEN");
    assert_eq!(daemon.call(&KillCall { cgroup: "/ice".into() }).processes, 1);
    assert!(!lives(pid));
}

/// Watches on a connection of its own. Returns after the first reply, from which on no event is missed.
fn watching(
    daemon: &InProcessDaemon,
    cgroup: Option<&str>,
) -> std::sync::mpsc::Receiver<(Option<EventInfo>, i64)> {
    let mut connection: Connection = daemon.connect();
    let (tell, hear) = std::sync::mpsc::channel();
    let call = WatchCall { cgroup: cgroup.map(str::to_owned) };
    std::thread::spawn(move || {
        for reply in connection.call_more(&call, &[]).expect("sent") {
            let Ok(reply) = reply else { return };
            if tell.send((reply.event, reply.lost.unwrap_or(0))).is_err() {
                return;
            }
        }
    });
    assert_eq!(hear.recv_timeout(Duration::from_secs(20)).expect("the first answer"), (None, 0));
    hear
}

fn next(hear: &std::sync::mpsc::Receiver<(Option<EventInfo>, i64)>) -> (String, String) {
    let (event, _) = hear.recv_timeout(Duration::from_secs(20)).expect("an event");
    let event = event.expect("an event");
    (event.kind, event.cgroup)
}

fn event(kind: &str, cgroup: &str) -> (String, String) {
    (kind.to_owned(), cgroup.to_owned())
}

fn watcher_gets_creations_and_removals_below(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    daemon.mkdir("/b");
    let all = watching(&daemon, None);
    let of_a = watching(&daemon, Some("/a"));
    daemon.mkdir("/b/x");
    daemon.mkdir("/a/y");
    daemon.call(&RmdirCall { cgroup: "/a/y".into(), recursive: None });
    assert_eq!(next(&all), event("created", "1:/b/x"));
    assert_eq!(next(&all), event("created", "1:/a/y"));
    assert_eq!(next(&all), event("removed", "1:/a/y"));
    assert_eq!(next(&of_a), event("created", "1:/a/y"));
    assert_eq!(next(&of_a), event("removed", "1:/a/y"));
}

#[test]
fn watcher_gets_events_of_members_limits_and_releases() {
    let daemon = InProcessDaemon::start(HostKind::Trace);
    daemon.mkdir("/a");
    daemon.write("/a", "pids.max", "1");
    daemon.write("/a", "notify_on_release", "1");
    daemon.write("/", "release_agent", "/bin/true");
    let of_a = watching(&daemon, Some("/a"));
    start(&daemon, "/a", "(true) 2>/dev/null; true");
    assert_eq!(next(&of_a), event("populated", "1:/a"));
    let (limit, _) = of_a.recv_timeout(Duration::from_secs(20)).expect("an event");
    let limit = limit.expect("an event");
    assert_eq!((&*limit.kind, limit.file.as_deref()), ("limit", Some("pids.max")));
    let mut last = [next(&of_a), next(&of_a)];
    last.sort();
    assert_eq!(last, [event("empty", "1:/a"), event("released", "1:/a")]);
}

fn slow_watcher_learns_how_many_events_it_lost(host: HostKind) {
    let daemon = InProcessDaemon::with(host, Limits { events: 10, ..Limits::default() });
    let mut connection = daemon.connect();
    let call = WatchCall::default();
    let mut replies = connection.call_more(&call, &[]).expect("sent");
    assert_eq!(replies.next().expect("an answer").expect("the first").event, None);
    // more events than fit into the queue and the socket
    let mut made = 0;
    let name = "n".repeat(3000);
    let mut maker = daemon.connect();
    for number in 0..400 {
        let cgroup = format!("/{number}{name}");
        maker.call(&penfold_server::protocol::MkdirCall { cgroup, ..Default::default() }).expect("made");
        made += 1;
    }
    let (mut heard, mut lost) = (0, 0);
    while heard + lost < made {
        let reply = replies.next().expect("more").expect("an event");
        heard += i64::from(reply.event.is_some());
        lost += reply.lost.unwrap_or(0);
    }
    assert_eq!(heard + lost, made);
    assert!(lost > 0, "{heard} heard");
}
