//! OpenMetrics: the text is well-formed and agrees with the control files, and no scraper disturbs another.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use common::{HostKind, on_each_host};
use penfold_core::{CgroupId, control_file::FileId};
use penfold_linux::host::{HostHandle, RunningCommand};
use penfold_linux::trace::{AtEnd, Command, ExecOptions};
use penfold_server::client::{Client, Trust};
use penfold_server::metrics::{MetricsAddress, Responder, SHOWN, scrape};
use penfold_server::mounts::Filesystem;
use penfold_server::operation::Operation;
use penfold_server::service::Service;
use penfold_testkit::{TempDir, proc, wait_until};

on_each_host! {
    left_out_cgroups_are_summed_and_counted,
    only_requests_for_metrics_are_served,
    silent_scrapers_are_bounded_and_time_out,
    socket_replaces_that_of_a_dead_daemon,
}

/// A host, and the service of its engine.
struct HostedService {
    host: Arc<dyn HostHandle>,
    service: Service,
}

impl HostedService {
    fn start(host: HostKind) -> HostedService {
        let host = host.start(Box::new(|_, _| {})).expect("the host starts");
        let service = Service::new(Arc::clone(&host), Trust::Owner(0));
        let loaded = service.with_exact(|engine, host| penfold_subsystems::load_all(engine, host));
        loaded.expect("the host runs").expect("all controllers load");
        HostedService { host, service }
    }

    fn mount(&self, options: &str) -> CgroupId {
        self.service.mount(&Client::own(), options, Filesystem::Cgroup).expect("it mounts").root
    }

    fn mkdir(&self, parent: CgroupId, name: &[u8]) -> CgroupId {
        self.service.mkdir(&Client::own(), None, parent, name, 0o755).expect("a cgroup")
    }

    fn file(&self, cgroup: CgroupId, name: &'static str) -> FileId {
        let found =
            self.service.with_exact(move |engine, _| engine.find_file(cgroup, name)).expect("it runs");
        found.expect("it is there")
    }

    fn write(&self, cgroup: CgroupId, name: &'static str, text: &str) {
        let file = self.file(cgroup, name);
        let client = Client::own();
        let operation = Operation::of_write(file, text.as_bytes(), |number| client.task(number));
        self.service.perform(&client, None, cgroup, operation.expect("a task")).expect("it is taken");
    }

    fn read(&self, cgroup: CgroupId, name: &'static str) -> String {
        let file = self.file(cgroup, name);
        String::from_utf8(self.service.read(&Client::own(), cgroup, file).expect("it is read"))
            .expect("a text")
    }

    fn exec(&self, cgroups: &[CgroupId], argv: &[&str]) -> Box<dyn RunningCommand> {
        let options = ExecOptions { leave_running: true, exit_kill: true };
        self.host.launch(Command::new(argv.iter().copied()), cgroups.to_vec(), options).expect("it starts")
    }

    fn serve(&self) -> SocketAddr {
        let address = MetricsAddress::Network("127.0.0.1:0".parse().expect("an address"));
        let responder = Responder::start(self.service.clone(), &address).expect("it listens");
        match responder.address() {
            MetricsAddress::Network(address) => *address,
            MetricsAddress::Unix(_) => unreachable!("a port was asked for"),
        }
    }
}

impl Drop for HostedService {
    fn drop(&mut self) {
        let _ = self.host.stop(AtEnd::Kill);
    }
}

/// Samples by name and labels.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// Parses OpenMetrics 1.0 text as strictly as its ABNF.
fn parse(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    let mut samples = Samples::new();
    let mut families: BTreeMap<String, (Option<String>, bool)> = BTreeMap::new();
    let mut family = String::new();
    for line in body.split_terminator('\n') {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (kind, name, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            let known = families.entry(name.to_owned()).or_default();
            assert!(!known.1, "{line}: after a sample of it");
            if kind == "TYPE" {
                assert!(["counter", "gauge", "info"].contains(&value) && known.0.is_none(), "{line}");
                known.0 = Some(value.to_owned());
            }
            if kind == "UNIT" {
                assert!(name.ends_with(&format!("_{value}")), "{line}");
            }
            assert!(
                family == name || samples.keys().all(|(sample, _)| !sample.starts_with(name)),
                "{line}: not together"
            );
            name.clone_into(&mut family);
            continue;
        }
        let (name, labels, value) = sample(line);
        let known = families.get_mut(&family).expect("described before");
        known.1 = true;
        let suffix = match known.0.as_deref().expect("typed before") {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert_eq!(name, format!("{family}{suffix}"), "{line}");
        let number: f64 = value.parse().expect("a number");
        assert!(suffix != "_total" || number >= 0.0, "{line}");
        assert!(samples.insert((name, labels), number).is_none(), "{line}: twice");
    }
    samples
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, String) {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').expect("a value");
        return (name.to_owned(), BTreeMap::new(), value.to_owned());
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"").expect("a label");
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, character) in after.char_indices() {
            match (escaped, character) {
                (false, '\\') => escaped = true,
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (true, 'n') => (escaped, value) = (false, value + "\n"),
                (true, '\\' | '"') | (false, _) => {
                    escaped = false;
                    value.push(character);
                }
                (true, other) => panic!("{line}: \\{other}"),
            }
        }
        assert!(labels.insert(label.to_owned(), value).is_none(), "{line}: a label twice");
        rest = &after[end.expect("a quote at its end") + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let value = rest.strip_prefix("} ").expect("a value");
    (name.to_owned(), labels, value.to_owned())
}

fn get(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    samples.get(&(name.to_owned(), labels)).copied()
}

#[test]
fn metrics_agree_with_the_control_files() {
    let served = HostedService::start(HostKind::Trace);
    let at = served.mount("pids,cpuacct,name=numbers");
    let shares = served.mount("numtasks");
    let a = served.mkdir(at, b"a");
    let odd = served.mkdir(a, b"quote\" backslash\\ \xff");
    served.write(a, "pids.max", "6");
    let script = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; for i in 1 2 3; do sleep 100 & done; sleep 100 & sleep 100 & sleep 100";
    let script = format!("({script}) 2> /dev/null || sleep 100");
    let _running = served.exec(&[odd], &["sh", "-c", &script]);
    let refused = || served.read(odd, "pids.events");
    wait_until("the limit refuses", || refused() != "max 0\n");
    // the shell that is refused a fork gives up and sleeps as well: from then on nothing changes
    let sleepers = || {
        let tasks = served.read(odd, "tasks");
        tasks.lines().filter(|task| proc::command(task.parse().expect("a number")) == "sleep").count()
    };
    wait_until("all of them sleep", || sleepers() == 5);

    let samples = parse(&scrape(&served.service).expect("it runs"));
    let path = "/a/quote\" backslash\\134 \\377";
    let of = |path| [("hierarchy", "numbers"), ("path", path)];
    let with = |path, key, value| [("hierarchy", "numbers"), ("path", path), (key, value)];
    let count = |text: String| text.lines().count() as f64;
    let number = |text: String| text.trim().parse::<f64>().expect("a number");
    assert_eq!(get(&samples, "penfold_tasks", &of(path)), Some(count(served.read(odd, "tasks"))));
    assert_eq!(get(&samples, "penfold_tasks", &of("/a")), Some(0.0));
    assert_eq!(get(&samples, "penfold_limit", &with("/a", "file", "pids.max")), Some(6.0));
    assert_eq!(get(&samples, "penfold_limit", &with(path, "file", "pids.max")), None, "there is none");
    for (cgroup, path) in [(a, "/a"), (odd, path)] {
        for (metric, file) in [("penfold_used", "pids.current"), ("penfold_peak", "pids.peak")] {
            let shown = get(&samples, metric, &with(path, "file", "pids.max"));
            assert_eq!(shown, Some(number(served.read(cgroup, file))), "{metric} {path}");
        }
        for (mode, file) in [("user", "cpuacct.usage_user"), ("system", "cpuacct.usage_sys")] {
            let shown =
                get(&samples, "penfold_cpu_seconds_total", &with(path, "mode", mode)).expect("it is there");
            let now = number(served.read(cgroup, file)) / 1e9;
            assert!(shown <= now && now - shown < 0.1, "{mode} {path}: {shown} of {now}");
        }
    }
    assert!(
        get(&samples, "penfold_cpu_seconds_total", &with("/a", "mode", "user")).expect("it is there") > 0.0
    );
    let refusals = get(&samples, "penfold_refusals_total", &with("/a", "file", "pids.max"));
    assert!(refusals.expect("it is there") >= 1.0);
    assert_eq!(get(&samples, "penfold_cgroups", &[("hierarchy", "numbers")]), Some(3.0));
    assert_eq!(get(&samples, "penfold_cgroups", &[("hierarchy", "numtasks")]), Some(1.0));
    assert_eq!(get(&samples, "penfold_cgroups_left_out", &[]), Some(0.0));
    let daemon = samples.iter().find(|((name, _), _)| name == "penfold_daemon_info").expect("it is there");
    assert_eq!((daemon.0.1["pid"].as_str(), *daemon.1), (std::process::id().to_string().as_str(), 1.0));
    let _ = shares;
}

fn left_out_cgroups_are_summed_and_counted(host: HostKind) {
    let served = HostedService::start(host);
    let at = served.mount("pids,cpuacct,name=many");
    let first = served.mkdir(at, b"first");
    for number in 1..SHOWN {
        served.mkdir(at, number.to_string().as_bytes());
    }
    // The root and SHOWN - 1 others have series of their own. So both of these are left out, also the one nearer to the
    // root.
    let outer = served.mkdir(first, b"outer");
    let inner = served.mkdir(outer, b"inner");
    let _running = (served.exec(&[outer], &["sleep", "100"]), served.exec(&[inner], &["sleep", "100"]));
    let text = scrape(&served.service).expect("it runs");
    let samples = parse(&text);
    let paths: BTreeSet<&String> = samples.keys().filter_map(|(_, labels)| labels.get("path")).collect();
    assert_eq!(paths.len(), SHOWN + 1);
    let of = [("hierarchy", "many"), ("path", "…")];
    assert_eq!(get(&samples, "penfold_tasks", &of), Some(2.0));
    let used = [("hierarchy", "many"), ("path", "…"), ("file", "pids.max")];
    assert_eq!(get(&samples, "penfold_used", &used), Some(2.0), "the inner one is counted once");
    assert_eq!(get(&samples, "penfold_cgroups_left_out", &[]), Some(3.0));
    assert_eq!(get(&samples, "penfold_cgroups", &[("hierarchy", "many")]), Some(SHOWN as f64 + 3.0));
}

fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request).expect("it reads");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn only_requests_for_metrics_are_served(host: HostKind) {
    let served = HostedService::start(host);
    let address = served.serve();
    let answer = ask(address, b"GET /metrics?x=y HTTP/1.1\r\nHost: here\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    parse(body);
    let status = |request: &[u8]| ask(address, request).split(' ').nth(1).unwrap_or_default().to_owned();
    assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "404");
    assert_eq!(status(b"POST /metrics HTTP/1.1\r\n\r\n"), "405");
    assert_eq!(status(b"\r\n\r\n"), "400");
    assert_eq!(status(&vec![b'x'; 20_000]), "431");
    let head = ask(address, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

fn silent_scrapers_are_bounded_and_time_out(host: HostKind) {
    let served = HostedService::start(host);
    let address = served.serve();
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    assert!(
        ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503 "),
        "eight are waited for"
    );
    wait_until("they are let go after five seconds", || {
        ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 ")
    });
    drop(silent);
}

fn socket_replaces_that_of_a_dead_daemon(host: HostKind) {
    let served = HostedService::start(host);
    let directory = TempDir::new();
    let path = directory.join("metrics");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("left by a dead one"));
    Responder::start(served.service.clone(), &MetricsAddress::Unix(path.clone())).expect("it listens");
    let mut stream = UnixStream::connect(&path).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.0\n\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("# EOF\n"), "{answer}");
    assert!(
        Responder::start(served.service.clone(), &MetricsAddress::Unix(path.clone())).is_err(),
        "it is in use"
    );
}
