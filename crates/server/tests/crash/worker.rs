//! A process that no daemon has started, and that forks and makes threads on command.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A Python script that takes commands from its standard input. No daemon supervises it at first.
pub(crate) struct WorkerProcess {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl WorkerProcess {
    pub(crate) fn start(script: &str) -> WorkerProcess {
        let mut process = Command::new("/usr/bin/python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut stranger = WorkerProcess { process, output };
        assert_eq!(stranger.line(), "ready");
        stranger
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints");
        line.trim().to_owned()
    }

    /// Sends the command of this letter and returns the line that the script prints.
    pub(crate) fn ask(&mut self, letter: &str) -> String {
        use std::io::Write as _;
        let stdin = self.process.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{letter}").expect("it reads");
        self.line()
    }

    pub(crate) fn threads(&self) -> Vec<i32> {
        let entries = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it lives").flatten();
        entries
            .map(|entry| entry.file_name().to_str().expect("a number").parse().expect("a number"))
            .collect()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The script. `f` forks a child and a grandchild, which wait, and prints their numbers. `t` makes a thread and prints
/// its number.
pub(crate) const WORKER: &str = "
import os, signal, sys, threading, time, ctypes
libc = ctypes.CDLL(None)
def die_with_parent(): libc.prctl(1, signal.SIGKILL)
def wait():
    while True: time.sleep(100)
def fork():
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        grandchild = os.fork()
        if grandchild == 0:
            die_with_parent()
            wait()
        os.write(w, b'%d %d\\n' % (os.getpid(), grandchild))
        wait()
    print(os.read(r, 100).decode().strip(), flush=True)
def thread():
    t = threading.Thread(target=wait, daemon=True)
    t.start()
    print(t.native_id, flush=True)
print('ready', flush=True)
for line in sys.stdin: {'f': fork, 't': thread}[line.strip()]()
";

pub(crate) fn numbers(text: &str) -> Vec<i32> {
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}
