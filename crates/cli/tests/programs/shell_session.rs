//! A shell with a terminal of its own, into which a test types one line after the other.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::Pid;

use crate::mount_namespace::MountNamespace;

/// The most time that a line may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell and the terminal's other side.
pub(crate) struct ShellSession {
    terminal: File,
    shell: Child,
    pending: String,
    typed: u32,
}

/// The result of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShellAnswer {
    /// The text that appeared on the terminal.
    pub(crate) shown: String,
    /// `$?` afterwards.
    pub(crate) status: i32,
}

impl ShellSession {
    /// Starts `sh` in a namespace, with empty prompts.
    pub(crate) fn new(namespace: &MountNamespace) -> Self {
        let pair = openpty(None, None).expect("a terminal");
        let mut modes = tcgetattr(&pair.slave).expect("its modes");
        modes.local_flags.remove(LocalFlags::ECHO);
        modes.output_flags.remove(OutputFlags::ONLCR);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &modes).expect("its modes");
        let mut command: Command = namespace.command("setsid");
        command.args(["--ctty", "--wait", "dash", "-i"]).env("PS1", "").env("PS2", "").env_remove("ENV");
        let side = |slave: &OwnedFd| slave.try_clone().expect("a descriptor");
        command.stdin(side(&pair.slave)).stdout(side(&pair.slave)).stderr(pair.slave);
        let shell = command.spawn().expect("run a shell");
        let mut session = Self { terminal: File::from(pair.master), shell, pending: String::new(), typed: 0 };
        session.line("PS1= PS2=");
        session
    }

    /// Types a line and reads until its end.
    #[track_caller]
    pub(crate) fn line(&mut self, line: &str) -> ShellAnswer {
        self.typed += 1;
        let mark = format!("<{}:", self.typed);
        // The mark comes from the shell itself, since the line may leave the shell unable to start a process.
        let text = format!("{line}\necho \"{mark}$?>\"\n");
        self.terminal.write_all(text.as_bytes()).expect("the terminal");
        let began = Instant::now();
        loop {
            if let Some((shown, rest)) = self.pending.split_once(&mark)
                && let Some((status, rest)) = rest.split_once(">\n")
            {
                let answer =
                    ShellAnswer { shown: shown.to_owned(), status: status.parse().expect("a status") };
                self.pending = rest.to_owned();
                return answer;
            }
            let left = PATIENCE.checked_sub(began.elapsed());
            let left = left.unwrap_or_else(|| panic!("{line:?} does not end: {:?}", self.pending));
            self.read(left, line);
        }
    }

    #[track_caller]
    fn read(&mut self, patience: Duration, line: &str) {
        let mut ready = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).expect("a short time");
        if poll(&mut ready, patience).is_ok_and(|count| count > 0) {
            let mut buffer = [0; 4096];
            let read = self.terminal.read(&mut buffer);
            let read = read.unwrap_or_else(|error| panic!("{line:?}: {error}: {:?}", self.pending));
            self.pending.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// Types a line that must succeed and show nothing.
    #[track_caller]
    pub(crate) fn quietly(&mut self, line: &str) {
        assert_eq!(self.line(line), ShellAnswer { shown: String::new(), status: 0 }, "{line}");
    }

    /// Types a line that must succeed. Returns its output without the newline at the end.
    #[track_caller]
    pub(crate) fn shows(&mut self, line: &str) -> String {
        let answer = self.line(line);
        assert_eq!(answer.status, 0, "{line}: {}", answer.shown);
        answer.shown.strip_suffix('\n').unwrap_or(&answer.shown).to_owned()
    }

    /// Types a line that must fail. Returns its output.
    #[track_caller]
    pub(crate) fn fails(&mut self, line: &str) -> String {
        let answer = self.line(line);
        assert_ne!(answer.status, 0, "{line}: {}", answer.shown);
        answer.shown
    }
}

impl Drop for ShellSession {
    fn drop(&mut self) {
        let session = self.shell.id().to_string();
        for entry in std::fs::read_dir("/proc").expect("list /proc").flatten() {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // behind the command, which may have blanks in it: state, parent, group, session
            let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ')).into_iter().flatten();
            if fields.clone().nth(3) == Some(&session)
                && let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
