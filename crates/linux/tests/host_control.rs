//! Requests of other threads to the engine of a running host, with and without its tracer, and the reports to them.

mod common;
mod contained;
mod hosted;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use common::shell;
use contained::owner;
use hosted::TestHost;
use penfold_core::{Engine, Errno, Event, Release, control_file::FileId};
use penfold_linux::trace::{AtEnd, ExecOptions, Gone, JobBuilder, TraceHost, TracedCalls};
use penfold_testkit::{
    proc::{self, status},
    wait_until,
};

#[test]
fn directories_are_made_on_many_threads_while_jobs_fork() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("job");
    hosted.write(cgroup, "pids.max", 10);
    let storm = hosted.exec(
        cgroup,
        &shell("trap '' TERM; i=0; while [ $i -lt 1500 ]; do (:); i=$((i+1)); done; exit 5"),
        ExecOptions::default(),
    );
    let root = hosted.root;
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let control = hosted.host.control();
            scope.spawn(move || {
                let name = format!("made-{thread}");
                for _ in 0..1000 {
                    let made = control
                        .request(|engine, host| {
                            engine.session(host, &owner()).mkdir(root, name.as_bytes(), 0o755)
                        })
                        .expect("the host runs")
                        .expect("a cgroup");
                    let listed = control.request(|engine, host| {
                        let busy = engine.session(host, &owner()).rmdir(cgroup).expect_err("it has tasks");
                        assert_eq!(busy.errno(), Errno::EBUSY);
                        let file = engine.find_file(cgroup, "tasks").expect("every cgroup has it");
                        let tasks =
                            engine.session(host, &owner()).read(cgroup, file).expect("it can be read");
                        engine.session(host, &owner()).rmdir(made).expect("it is empty");
                        tasks
                    });
                    let listed = String::from_utf8(listed.expect("the host runs")).expect("a text");
                    assert!(listed.lines().count() <= 10);
                }
            });
        }
        for _ in 0..50 {
            let current: usize = hosted.read(cgroup, "pids.current").parse().expect("a number");
            assert!((1..=10).contains(&current), "{current}");
        }
    });
    assert_eq!(libc::WEXITSTATUS(storm.wait().expect("it ran")), 5);
    assert_eq!(hosted.read(cgroup, "pids.current"), "0");
    assert_eq!(hosted.read(cgroup, "pids.events"), "max 0");
    hosted
        .host
        .control()
        .request(|engine, host| engine.session(host, &owner()).rmdir(cgroup))
        .unwrap()
        .expect("empty");
}

#[test]
fn a_request_on_the_callers_thread_reaches_the_tasks() {
    let hosted = TestHost::start();
    let cgroup = hosted.cgroup("job");
    let control = hosted.host.control();
    let sleeps = hosted.exec(cgroup, &["sleep", "100"], ExecOptions::default());
    let main = sleeps.pid();
    let set = |name: &str, value: &str| {
        let file = |engine: &Engine| engine.find_file(cgroup, name).expect("it has that file");
        let written = control.request(|engine, host| {
            let file = file(engine);
            engine.session(host, &owner()).write(cgroup, file, value.as_bytes())
        });
        written.expect("the host runs").expect("it is taken");
    };
    let get = |name: &str| {
        let shown = control.request(|engine, host| contained::read(engine, host, cgroup, name));
        shown.expect("the host runs")
    };
    assert_eq!(get("pids.current"), "1");
    assert_eq!(get("tasks"), main.to_string());
    set("freezer.state", "FROZEN");
    wait_until("it is held", || get("freezer.state") == "FROZEN" && proc::state(main.0) == Some('t'));
    set("freezer.state", "THAWED");
    wait_until("it sleeps", || proc::state(main.0) == Some('S'));
    set("cpuset.cpus", "0");
    assert_eq!(status(main.0, "Cpus_allowed_list").as_deref(), Some("0"));
    set("pids.max", "1");
    wait_until("its forks can be refused", || status(main.0, "Seccomp_filters").as_deref() == Some("2"));
    // a request that panics leaves nothing worse
    let wrong = catch_unwind(AssertUnwindSafe(|| control.request(|_, _| panic!("as the test wants"))));
    assert!(wrong.is_err());
    let file = FileId::NotifyOnRelease;
    let read = control.request(|engine, host| {
        engine.session(host, &owner()).write(cgroup, file, b"1").expect("it is taken");
        engine.session(host, &owner()).read(cgroup, file).expect("it can be read")
    });
    assert_eq!(read.expect("the host runs"), b"1\n");
    hosted.host.stop(AtEnd::Kill).expect("not stopped before");
    assert_eq!(control.request(|_, _| ()), Err(Gone));
    assert_eq!(control.with_exact(|_, _| ()), Err(Gone));
}

#[test]
fn a_command_is_started_with_the_filter_of_its_place() {
    let none = TracedCalls { fork: false, affinity: false, sockets: false };
    let hosted = TestHost::start();
    let (free, limited, bound) = (hosted.cgroup("free"), hosted.cgroup("limited"), hosted.cgroup("bound"));
    hosted.write(limited, "pids.max", 5);
    hosted.write(bound, "cpuset.cpus", 0);
    let wanted = [
        (free, none),
        (limited, TracedCalls { fork: true, ..none }),
        (bound, TracedCalls { affinity: true, ..none }),
    ];
    for (cgroup, interest) in wanted {
        let sleeps = hosted.exec(cgroup, &["sleep", "100"], ExecOptions::default());
        let tasks = hosted.host.tasks().expect("the host runs");
        let task = tasks.iter().find(|task| task.tid == sleeps.pid()).expect("it is supervised");
        assert_eq!(task.filter, Some(interest));
        wait_until("it has one filter", || status(sleeps.pid().0, "Seccomp_filters").as_deref() == Some("1"));
    }
}

/// A hierarchy that was unmounted takes the next mount at once, with other subsystems.
#[test]
fn hierarchies_are_mounted_and_unmounted_at_once() {
    let mut builder = JobBuilder::new(false);
    let (engine, host) = builder.parts();
    penfold_subsystems::load_all(engine, host).expect("all controllers load");
    let host = TraceHost::start(builder).expect("the host starts");
    let control = host.control();
    for options in ["pids,cpuacct", "cpuset", "freezer,name=f", "none,name=empty"] {
        let shown = control.request(|engine, host| {
            let root = engine.session(host, &owner()).mount(options).expect("it mounts").root;
            let shown = engine.show_options(root).expect("it is mounted");
            engine.unmount(host, root).expect("it is mounted");
            shown
        });
        let shown = String::from_utf8(shown.expect("the host runs")).expect("a text");
        assert!(options.split(',').all(|option| option == "none" || shown.contains(option)), "{shown}");
    }
    host.stop(AtEnd::Kill).expect("not stopped before");
}

#[test]
fn releases_and_events_are_handed_over_as_they_come() {
    let (tell, told) = mpsc::channel();
    let mut builder = JobBuilder::new(false);
    let (engine, host) = builder.parts();
    penfold_subsystems::load_all(engine, host).expect("all controllers load");
    let root = engine
        .session(host, &owner())
        .mount("all,clone_children,release_agent=/agent")
        .expect("they mount")
        .root;
    engine.watch(true);
    builder.on_change(move |releases, events| tell.send((releases, events)).expect("the test waits"));
    let hosted = TestHost { host: TraceHost::start(builder).expect("the host starts"), root };
    let cgroup = hosted.cgroup("job");
    let wait = Duration::from_secs(10);
    let collect = |enough: &dyn Fn(&[Release], &[Event]) -> bool| {
        let (mut releases, mut events) = (Vec::new(), Vec::new());
        while !enough(&releases, &events) {
            let (more, also) = told.recv_timeout(wait).unwrap_or_else(|_| panic!("{releases:?} {events:?}"));
            releases.extend(more);
            events.extend(also);
        }
        (releases, events)
    };
    hosted.write(cgroup, "notify_on_release", 1);
    hosted.write(cgroup, "pids.max", 1);
    let script = shell("(exit 3); exit 4");
    let running = hosted.exec(cgroup, &script, ExecOptions::default());
    assert_eq!(libc::WEXITSTATUS(running.wait().expect("it ran")), 2, "dash can't fork");
    // a death is reported without any request
    let (releases, events) = collect(&|releases, _| !releases.is_empty());
    assert_eq!((releases[0].agent.as_slice(), releases[0].path.as_slice()), (&b"/agent"[..], &b"/job"[..]));
    let of_job: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            Event::Populated { path, populated, .. } if path == b"/job" => Some(format!("{populated}")),
            Event::LimitHit { path, file, count, .. } if path == b"/job" => Some(format!("{file} {count}")),
            _ => None,
        })
        .collect();
    assert_eq!(of_job, ["true", "pids.max 1", "false"]);

    // and so is, at once, an event that another thread causes
    let inner = hosted.host.control().request(|engine, host| {
        let inner = engine.session(host, &owner()).mkdir(cgroup, b"inner", 0o755).expect("a cgroup");
        engine.session(host, &owner()).write(cgroup, FileId::NotifyOnRelease, b"1").expect("it is taken");
        inner
    });
    let inner = inner.expect("the host runs");
    hosted
        .host
        .control()
        .request(|engine, host| engine.session(host, &owner()).rmdir(inner))
        .unwrap()
        .expect("empty");
    let (releases, _) = collect(&|releases, _| !releases.is_empty());
    assert_eq!(releases[0].path, b"/job");

    let sleeps = hosted.exec(cgroup, &["sleep", "100"], ExecOptions::default());
    let (_, events) = collect(&|_, events| events.len() >= 2);
    assert!(
        events.iter().all(|event| matches!(event, Event::Populated { populated: true, .. })),
        "{events:?}"
    );
    sleeps.kill(libc::SIGKILL).expect("it lives");
    let (releases, _) = collect(&|releases, events| !releases.is_empty() && !events.is_empty());
    assert_eq!(releases.len(), 1);
    wait_until("all is told", || hosted.tasks(cgroup).is_empty());
}
