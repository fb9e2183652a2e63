//! A daemon's host with an engine and all controllers, and processes that it did not start.
#![allow(dead_code, missing_docs, unreachable_pub)] // each test file uses its part

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_core::{CgroupId, Errno, Error};
use penfold_linux::trace::{self, AtEnd, ExecOptions, JobBuilder, TraceHost, TracedCommand};

use crate::contained::{owner, read};

/// A host with everything mounted together.
pub struct TestHost {
    pub host: TraceHost,
    pub root: CgroupId,
}

impl TestHost {
    pub fn start() -> TestHost {
        let mut builder = JobBuilder::new(false);
        let (engine, host) = builder.parts();
        penfold_subsystems::load_all(engine, host).expect("all controllers load");
        let root = engine.session(host, &owner()).mount("all,clone_children").expect("they mount").root;
        TestHost { host: TraceHost::start(builder).expect("the host starts"), root }
    }

    pub fn cgroup(&self, name: &'static str) -> CgroupId {
        let root = self.root;
        let made = self.host.control().with_exact(move |engine, host| {
            engine.session(host, &owner()).mkdir(root, name.as_bytes(), 0o755)
        });
        made.expect("the host runs").expect("a cgroup")
    }

    pub fn read(&self, cgroup: CgroupId, name: &'static str) -> String {
        let read = self.host.control().with_exact(move |engine, host| read(engine, host, cgroup, name));
        read.expect("the host runs")
    }

    /// All tasks of a cgroup.
    pub fn tasks(&self, cgroup: CgroupId) -> Vec<i32> {
        self.read(cgroup, "tasks").lines().map(|line| line.parse().expect("a task id")).collect()
    }

    pub fn try_write(&self, cgroup: CgroupId, name: &'static str, value: impl ToString) -> Result<(), Error> {
        let value = value.to_string();
        let written = self.host.control().with_exact(move |engine, host| {
            let file = engine.find_file(cgroup, name).expect("the file is there");
            engine.session(host, &owner()).write(cgroup, file, value.as_bytes())
        });
        written.expect("the host runs")
    }

    pub fn write(&self, cgroup: CgroupId, name: &'static str, value: impl ToString) {
        self.try_write(cgroup, name, value).expect("it is taken");
    }

    pub fn refused(&self, cgroup: CgroupId, name: &'static str, value: impl ToString) -> (Errno, String) {
        let error = self.try_write(cgroup, name, value).expect_err("it is refused");
        (error.errno(), error.to_string())
    }

    pub fn exec<S: AsRef<str>>(&self, cgroup: CgroupId, argv: &[S], options: ExecOptions) -> TracedCommand {
        let command = trace::Command::new(argv.iter().map(AsRef::as_ref));
        self.host.exec(command, [cgroup], options).expect("it starts")
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        // a test may have stopped the host
        let _ = self.host.stop(AtEnd::Kill);
    }
}

/// A process that this one has not started: an orphan with its standard output on a pipe. Killed on drop.
pub struct OutsideProcess {
    pub pid: i32,
    pub output: BufReader<std::process::ChildStdout>,
}

impl OutsideProcess {
    pub fn start<S: AsRef<str>>(argv: &[S]) -> OutsideProcess {
        let mut shell = Command::new("sh")
            .args(["-c", "(sh -c 'echo $$; exec setsid \"$@\"' sh \"$@\" &)", "sh"])
            .args(argv.iter().map(AsRef::as_ref))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let output = BufReader::new(shell.stdout.take().expect("a pipe"));
        let _ = shell.wait();
        let mut outside = OutsideProcess { pid: 0, output };
        outside.pid = outside.line().parse().expect("a number");
        outside
    }

    /// The next line that the process prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints");
        line.trim().to_owned()
    }

    pub fn kill(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal).expect("it lives");
    }
}

impl Drop for OutsideProcess {
    fn drop(&mut self) {
        // with its session; group 0 would be the own one
        if self.pid == 0 {
            return;
        }
        let _ = kill(Pid::from_raw(-self.pid), Signal::SIGKILL);
    }
}

/// A field of `/proc/PID/status`.
pub fn status(pid: i32, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// Whether a process of that number exists and is no zombie.
pub fn lives(pid: i32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The children of all threads of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("children")));
    let text: String = lists.map(Result::unwrap_or_default).collect();
    text.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

pub const PYTHON: &str = "/usr/bin/python3";

/// A program that forks at each USR1 until it is refused, or fifty times, and prints how often and why it stopped.
pub const FORKER: &str = "
import errno, os, signal, sys, time
def fill(*_):
    made, why = 0, 'enough'
    while made < 50:
        try:
            if os.fork() == 0:
                signal.signal(signal.SIGUSR1, signal.SIG_DFL); time.sleep(100); os._exit(0)
            made += 1
        except OSError as error:
            why = errno.errorcode[error.errno]; break
    print(made, why, flush=True)
signal.signal(signal.SIGUSR1, fill)
signal.alarm(60)
print('ready', flush=True)
while True: time.sleep(0.02)";

/// Starts a Python program and waits until it prints that it is ready.
pub fn ready(program: &str) -> OutsideProcess {
    let mut outside = OutsideProcess::start(&[PYTHON, "-c", program]);
    assert_eq!(outside.line(), "ready");
    outside
}

/// The line that the program prints after USR1.
pub fn tell(outside: &mut OutsideProcess) -> String {
    outside.kill(Signal::SIGUSR1);
    outside.line()
}

/// The threads of a process.
pub fn threads(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}
