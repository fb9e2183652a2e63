//! The cost of requests to a `TraceHost` in microseconds: least and median of many.
//!
//! `host_latency [ROUNDS]`

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use penfold_core::{Caller, CgroupId, MoveScope, Tid};
use penfold_linux::trace::{self, AtEnd, ExecOptions, JobBuilder, TraceHost};

fn owner() -> Caller {
    Caller::root(Tid(std::process::id().cast_signed()))
}

/// Prints the least and the median time of `round`, which runs `rounds` times, each time after `rest`.
fn measure(what: &str, rounds: u32, rest: Duration, mut round: impl FnMut()) {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            std::thread::sleep(rest);
            let began = Instant::now();
            round();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what:42} {:8.1} {:8.1}", times[0], times[times.len() / 2]);
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(2000);
    let mut builder = JobBuilder::new(false);
    let (engine, host) = builder.parts();
    penfold_subsystems::load_all(engine, host).expect("all controllers load");
    let root = engine.session(host, &owner()).mount("all,clone_children").expect("they mount").root;
    let host = TraceHost::start(builder).expect("the host starts");
    let control = host.control();
    let none = Duration::ZERO;
    let short = Duration::from_millis(1);
    println!("{:42} {:>8} {:>8}", "us", "least", "median");
    measure("quick: mkdir + rmdir", rounds, none, || {
        control
            .request(|engine, host| {
                let cgroup = engine.session(host, &owner()).mkdir(root, b"made", 0o755).expect("a cgroup");
                engine.session(host, &owner()).rmdir(cgroup).expect("it is empty");
            })
            .expect("the host runs");
    });
    measure("with: nothing", rounds, none, || control.with_exact(|_, _| ()).expect("the host runs"));
    measure("with: nothing, after 1 ms of rest", rounds / 4, short, || {
        control.with_exact(|_, _| ()).expect("the host runs");
    });
    let cgroups = ["a", "b"].map(|name| {
        let made = control
            .request(|engine, host| engine.session(host, &owner()).mkdir(root, name.as_bytes(), 0o755));
        made.expect("the host runs").expect("a cgroup")
    });
    let attach = |pid: i32, to: CgroupId| {
        let attached = control.with_exact(move |engine, host| {
            engine.session(host, &owner()).attach(to, Tid(pid), MoveScope::ThreadGroup)
        });
        attached.expect("the host runs").expect("it moves");
    };
    let mut sleeper = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().expect("it runs");
    let pid = sleeper.id().cast_signed();
    std::thread::sleep(Duration::from_millis(20));
    measure("adopt + release, a process that sleeps", rounds / 10, none, || {
        host.adopt(Tid(pid)).expect("it can be traced");
        host.detach(Tid(pid)).expect("nothing keeps it");
    });
    host.adopt(Tid(pid)).expect("it can be traced");
    let mut turn = 0;
    let mut next = || {
        turn += 1;
        cgroups[turn % 2]
    };
    measure("attach", rounds, none, || attach(pid, next()));
    measure("attach, after 1 ms of rest", rounds / 4, short, || attach(pid, next()));
    measure("attach, after 100 ms of rest", 30, Duration::from_millis(100), || attach(pid, next()));
    let read = |cgroup: CgroupId, name: &'static str| {
        control
            .with_exact(move |engine, host| {
                let file = engine.find_file(cgroup, name).expect("it has that file");
                engine.session(host, &owner()).read(cgroup, file).expect("it can be read")
            })
            .expect("the host runs")
    };
    measure("read pids.current", rounds, none, || drop(read(cgroups[0], "pids.current")));
    let script = "import os\nfor _ in range(3000):\n if os.fork() == 0: os._exit(0)\n os.wait()";
    for limit in ["max", "1000"] {
        let cgroup = cgroups[0];
        control
            .with_exact(move |engine, host| {
                let file = engine.find_file(cgroup, "pids.max").expect("it has that file");
                engine.session(host, &owner()).write(cgroup, file, limit.as_bytes()).expect("it is taken");
            })
            .expect("the host runs");
        measure(&format!("3000 forks of a job, pids.max = {limit}"), 5, none, || {
            let command = trace::Command::new(["/usr/bin/python3", "-c", script]);
            let running = host.exec(command, [cgroup], ExecOptions::default()).expect("it starts");
            assert_eq!(running.wait().expect("it ran"), 0);
        });
    }
    host.stop(AtEnd::Kill).expect("it runs");
    let _ = sleeper.kill();
    let _ = sleeper.wait();
}
