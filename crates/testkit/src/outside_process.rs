//! Processes that no host has started.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::proc;
use crate::wait::wait_until;

/// A process that no host has started, with its standard output to read. Killed when it is dropped.
#[derive(Debug)]
pub struct OutsideProcess {
    pid: i32,
    /// `None` for an orphan, which this process can not reap.
    child: Option<Child>,
    output: Option<BufReader<ChildStdout>>,
}

impl OutsideProcess {
    /// Starts a child of this process.
    pub fn child(command: &mut Command) -> OutsideProcess {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = child.stdout.take().map(BufReader::new);
        OutsideProcess { pid: child.id().cast_signed(), child: Some(child), output }
    }

    /// Starts a child that sleeps, as the user `uid`, and waits until it does.
    pub fn sleeping_as(uid: u32) -> OutsideProcess {
        let process = OutsideProcess::child(Command::new("sleep").arg("1000").uid(uid));
        wait_until("the process sleeps", || proc::command(process.pid) == "sleep");
        process
    }

    /// Starts a program whose standard input [`OutsideProcess::ask`] writes.
    pub fn conversing<S: AsRef<str>>(argv: &[S]) -> OutsideProcess {
        let mut command = Command::new(argv[0].as_ref());
        command.args(argv[1..].iter().map(AsRef::as_ref)).stdin(Stdio::piped()).stdout(Stdio::piped());
        OutsideProcess::child(&mut command)
    }

    /// Starts an orphan in a session of its own: a process whose parent has died.
    pub fn orphan<S: AsRef<str>>(argv: &[S]) -> OutsideProcess {
        let mut shell = Command::new("sh")
            .args(["-c", "(sh -c 'echo $$; exec setsid \"$@\"' sh \"$@\" &)", "sh"])
            .args(argv.iter().map(AsRef::as_ref))
            .stdout(Stdio::piped())
            .spawn()
            .expect("run a shell");
        let output = shell.stdout.take().map(BufReader::new);
        shell.wait().expect("the shell ends");
        let mut process = OutsideProcess { pid: 0, child: None, output };
        process.pid = process.line().parse().expect("the shell prints a number");
        process
    }

    /// The number of the process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for the next line of standard output, and returns it without white space around it.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let output = self.output.as_mut().expect("standard output is a pipe");
        output.read_line(&mut line).expect("the process prints text");
        line.trim().to_owned()
    }

    /// Writes a line to standard input, and returns the next line of standard output.
    #[track_caller]
    pub fn ask(&mut self, question: &str) -> String {
        let input = self.child.as_mut().and_then(|child| child.stdin.as_mut());
        writeln!(input.expect("standard input is a pipe"), "{question}").expect("the process reads");
        self.line()
    }

    /// Sends a signal by its number.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        let signal = Signal::from_named_raw(signal).expect("a signal with a name");
        kill_process(self.known_pid().expect("it was started"), signal).expect("the process lives");
    }

    fn known_pid(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

impl Drop for OutsideProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        } else if let Some(session) = self.known_pid() {
            // the program may have children in its session
            let _ = kill_process_group(session, Signal::KILL);
        }
    }
}
