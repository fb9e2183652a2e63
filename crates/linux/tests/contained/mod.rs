//! A job with an engine, all controllers and a watchdog, for tests that observe it while it runs.
#![allow(dead_code, missing_docs, unreachable_pub)] // each test file uses its part

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_core::{
    Caller, CgroupId, Engine, Tid,
    host::{Capability, Host},
};
use penfold_linux::trace::{Command, Control, FinishedJob, JobBuilder, RunningJob, TraceOptions};

/// A command in the cgroup `/job`.
pub struct EngineJob {
    contained: Option<RunningJob>,
    pub control: Control,
    pub main: i32,
    pub root: CgroupId,
    pub cgroup: CgroupId,
    ended: Arc<AtomicBool>,
}

pub fn owner() -> Caller {
    Caller::root(Tid(std::process::id().cast_signed()))
}

pub fn write(
    engine: &mut Engine,
    host: &mut dyn Host,
    cgroup: CgroupId,
    name: &str,
    value: &str,
) -> Result<(), String> {
    let file = engine.find_file(cgroup, name).ok_or_else(|| format!("no {name}"))?;
    engine.session(host, &owner()).write(cgroup, file, value.as_bytes()).map_err(|error| error.to_string())
}

pub fn read(engine: &mut Engine, host: &mut dyn Host, cgroup: CgroupId, name: &str) -> String {
    let file = engine.find_file(cgroup, name).expect("the file is there");
    let content = engine.session(host, &owner()).read(cgroup, file).expect("it can be read");
    String::from_utf8(content).expect("a text").trim_end().to_owned()
}

impl EngineJob {
    /// Starts a command with these settings, killed after 60 seconds. Limits on tasks may also be set later.
    pub fn start<S: AsRef<str>>(settings: &[(&str, &str)], argv: &[S]) -> EngineJob {
        EngineJob::start_with(&[Capability::ForkVeto], settings, argv)
    }

    /// Starts a command with these settings, and reserves these capabilities beyond those that the settings need.
    pub fn start_with<S: AsRef<str>>(
        needs: &[Capability],
        settings: &[(&str, &str)],
        argv: &[S],
    ) -> EngineJob {
        let mut builder = JobBuilder::new(false);
        for &need in needs {
            builder.reserve(need);
        }
        let (engine, host) = builder.parts();
        penfold_subsystems::load_tree(engine, host).expect("all controllers load");
        let root = engine.session(host, &owner()).mount("all,clone_children").expect("they mount").root;
        let cgroup = engine.session(host, &owner()).mkdir(root, b"job", 0o755).expect("a cgroup");
        for (name, value) in settings {
            write(engine, host, cgroup, name, value).expect("the setting is taken");
        }
        let command = Command::new(argv.iter().map(AsRef::as_ref));
        let contained = builder.start(command, cgroup, TraceOptions::default()).expect("the job starts");
        let (control, main) = (contained.control(), contained.main());
        let ended = Arc::new(AtomicBool::new(false));
        watch(main.0, Arc::clone(&ended));
        EngineJob { contained: Some(contained), control, main: main.0, root, cgroup, ended }
    }

    pub fn read(&self, name: &'static str) -> String {
        let cgroup = self.cgroup;
        self.control.with_exact(move |engine, host| read(engine, host, cgroup, name)).expect("the job runs")
    }

    pub fn write(&self, name: &'static str, value: &'static str) {
        let cgroup = self.cgroup;
        let written = self.control.with_exact(move |engine, host| write(engine, host, cgroup, name, value));
        written.expect("the job runs").expect("it is taken");
    }

    /// The ids of all tasks of the cgroup and below.
    pub fn tasks(&self) -> Vec<i32> {
        let listed = self.read("tasks");
        listed.lines().map(|line| line.parse().expect("a task id")).collect()
    }

    pub fn finish(mut self) -> FinishedJob {
        let ended = self.contained.take().expect("not finished yet").wait().expect("it was started");
        self.ended.store(true, Ordering::Release);
        ended
    }
}

impl Drop for EngineJob {
    fn drop(&mut self) {
        // a test that failed half-way: the job ends with its main command
        if let Some(contained) = self.contained.take() {
            let _ = kill(Pid::from_raw(self.main), Signal::SIGKILL);
            let _ = contained.wait();
            self.ended.store(true, Ordering::Release);
        }
    }
}

/// Kills the job after a minute. A thread does it, because the test waits for the job meanwhile, so that no
/// [`penfold_testkit::wait_until`] can look.
fn watch(main: i32, ended: Arc<AtomicBool>) {
    let deadline = Instant::now() + Duration::from_mins(1);
    thread::spawn(move || {
        while !ended.load(Ordering::Acquire) {
            if Instant::now() > deadline {
                eprintln!("killed: the job has not ended within 60 s");
                let _ = kill(Pid::from_raw(main), Signal::SIGKILL);
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
}
