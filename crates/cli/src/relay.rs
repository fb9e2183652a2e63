//! Relays a command that the daemon runs: its streams, its terminal, its signals and its end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use penfold_core::{ErrorKind, Tid};
use penfold_linux::proc::TaskStatus;
use penfold_linux::terminal::{set_window_size, window_size};
use penfold_server::address::Address;
use penfold_server::connection::Replies;
use penfold_server::escape::escape;
use penfold_server::protocol::{EnvironmentInfo, ExecCall};

use crate::address::CgroupAddress;
use crate::end_status::EndStatus;
use crate::engine_connection::EngineConnection;
use crate::failure::Failure;
use crate::interrupted::{self, GRACE, LifeSign, interruption};

/// The signals that are forwarded to the command.
const FORWARDED: [Signal; 9] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// A command to be run by the daemon.
#[derive(Debug)]
pub(crate) struct RelayedCommand<'a> {
    cgroups: Vec<String>,
    command: &'a [OsString],
    terminal: bool,
    leave_running: bool,
}

impl<'a> RelayedCommand<'a> {
    pub(crate) fn new(
        cgroups: &[CgroupAddress],
        command: &'a [OsString],
        terminal: bool,
        leave_running: bool,
    ) -> RelayedCommand<'a> {
        let cgroups = cgroups.iter().map(|one| one.0.clone()).collect();
        RelayedCommand { cgroups, command, terminal, leave_running }
    }

    fn call(&self) -> ExecCall {
        let text = |bytes: &std::ffi::OsStr| escape(bytes.as_bytes());
        let own = TaskStatus::read(Tid(std::process::id().cast_signed()));
        ExecCall {
            cgroups: self.cgroups.clone(),
            command: self.command.iter().map(|word| text(word)).collect(),
            environment: std::env::vars_os()
                .map(|(name, value)| EnvironmentInfo { name: text(&name), value: text(&value) })
                .collect(),
            directory: std::env::current_dir().ok().map(|path| text(path.as_os_str())),
            streams: vec![0, 1, 2],
            terminal: self.terminal.then_some(true),
            umask: own.map(|process| process.umask.into()),
            leave_running: self.leave_running.then_some(true),
        }
    }

    /// The program as it was given, for messages.
    fn program(&self) -> String {
        self.command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Starts the command and returns its pid, without waiting for its end.
    pub(crate) fn start(&self, remote: &mut EngineConnection) -> Result<i64, Failure> {
        let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
        let reply = remote.connection.call_with(&self.call(), &streams)?;
        Ok(reply.pid)
    }
}

fn status_lost(program: String) -> Failure {
    let detail = "the daemon has ended, and with it the command's status";
    Failure::new(ErrorKind::StatusUnknown, Errno::ECONNRESET, program, detail)
}

/// Runs a command to its end.
pub(crate) fn run(remote: &mut EngineConnection, job: &RelayedCommand<'_>) -> Result<EndStatus, Failure> {
    // blocked before any other thread exists, and before the command can end
    let mut set = SigSet::empty();
    set.extend(FORWARDED);
    set.thread_block().map_err(|errno| Failure::system("signals", errno))?;
    let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|errno| Failure::system("signals", errno))?;
    // a command that the daemon starts a moment later must get the signal
    interruption()?.set_grace(GRACE);
    let address = remote.address().clone();
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    if !job.terminal {
        let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
        let replies = remote.connection.call_more(&job.call(), &streams)?;
        return Relay { job, address, replies, signals, terminal: None, pid: None, life: None }.run();
    }
    let size = window_size(&input).map_err(|errno| Failure::system("terminal", errno))?;
    let pair = openpty(&size, None)
        .map_err(|errno| Failure::system("terminal", errno).with_prefix("can't be made: "))?;
    let own_error = if std::io::IsTerminal::is_terminal(&error) { pair.slave.as_fd() } else { error.as_fd() };
    let streams = [pair.slave.as_fd(), pair.slave.as_fd(), own_error];
    let replies = remote.connection.call_more(&job.call(), &streams)?;
    drop(pair.slave);
    let terminal = Terminal { master: File::from(pair.master), raw: None, input_ended: false };
    Relay { job, address, replies, signals, terminal: Some(terminal), pid: None, life: None }.run()
}

struct Relay<'a, 'b> {
    job: &'a RelayedCommand<'b>,
    address: Address,
    replies: Replies<'a, ExecCall>,
    signals: SignalFd,
    terminal: Option<Terminal>,
    pid: Option<Pid>,
    /// Asked after a signal that could not reach the command of a stopped daemon.
    life: Option<LifeSign>,
}

/// The command's terminal. All data is copied between it and the user's.
struct Terminal {
    master: File,
    /// The user's terminal, from the start of the command.
    raw: Option<RawMode>,
    input_ended: bool,
}

impl Relay<'_, '_> {
    fn run(mut self) -> Result<EndStatus, Failure> {
        // signals stay pending until the command's pid is known, or the daemon has had its time to answer
        if let Some(status) = self.reply()? {
            return Ok(status);
        }
        loop {
            let ready = self.wait()?;
            if let Some(signal) = self.silent_since() {
                return Err(interrupted::end(signal));
            }
            if ready.signal {
                self.pass_signals();
            }
            if let Some(terminal) = &mut self.terminal {
                if ready.input {
                    terminal.copy_input();
                }
                if ready.output && !terminal.copy_output() {
                    // every process has closed the terminal; the status is still to come
                    self.terminal = None;
                }
            }
            if ready.reply
                && let Some(status) = self.reply()?
            {
                if let Some(terminal) = &mut self.terminal {
                    terminal.drain();
                }
                return Ok(status);
            }
        }
    }

    fn wait(&self) -> Result<ReadyFiles, Failure> {
        let stdin = std::io::stdin();
        let mut files = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.replies.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(terminal) = &self.terminal {
            files.push(PollFd::new(terminal.master.as_fd(), PollFlags::POLLIN));
            if terminal.raw.is_some() && !terminal.input_ended {
                files.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
        }
        let timeout = match self.life.as_ref().and_then(LifeSign::left) {
            _ if self.replies.is_ready() => PollTimeout::ZERO,
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        match poll(&mut files, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::system("poll", errno)),
        }
        let any = |at: usize| files.get(at).is_some_and(|file| file.any().unwrap_or(false));
        Ok(ReadyFiles {
            signal: any(0),
            reply: any(1) || self.replies.is_ready(),
            output: any(2),
            input: any(3),
        })
    }

    /// The signal after which the daemon has not answered in time.
    fn silent_since(&mut self) -> Option<Signal> {
        let life = self.life.as_ref()?;
        match life.left() {
            Some(left) => left.is_zero().then(|| life.signal()),
            None => {
                self.life = None;
                None
            }
        }
    }

    fn reply(&mut self) -> Result<Option<EndStatus>, Failure> {
        let program = self.job.program();
        let reply = match self.replies.next() {
            Some(reply) => reply.map_err(|error| self.of_command(error.into()))?,
            None => return Err(status_lost(program)),
        };
        if self.pid.is_none() {
            self.pid = Some(Pid::from_raw(reply.pid as i32));
            if let Some(terminal) = &mut self.terminal {
                terminal.raw = RawMode::enter();
            }
        }
        reply.status.map(|status| EndStatus::of_wait(status, &program)).transpose()
    }

    /// A failure of a command that runs: when the daemon goes, so does the only one that would know its end.
    fn of_command(&self, failure: Failure) -> Failure {
        match failure.kind {
            ErrorKind::Disconnected | ErrorKind::Ending if self.pid.is_some() => {
                status_lost(self.job.program())
            }
            ErrorKind::StatusUnknown => failure.about(self.job.program()),
            _ => failure,
        }
    }

    fn pass_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let signal = Signal::try_from(signal.ssi_signo as i32);
            match (signal, &self.terminal) {
                (Ok(Signal::SIGWINCH), Some(terminal)) => terminal.follow_size(),
                (Ok(Signal::SIGCONT), Some(terminal)) => {
                    if let Some(raw) = &terminal.raw {
                        raw.again();
                    }
                    self.send(Signal::SIGCONT);
                }
                (Ok(signal), _) => {
                    self.send(signal);
                    let ends = matches!(signal, Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP);
                    if ends && self.life.is_none() {
                        self.life = Some(LifeSign::ask(&self.address, signal));
                    }
                }
                (Err(_), _) => {}
            }
        }
    }

    fn send(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // the command may have ended, or be another user's by now
            let _ = kill(pid, signal);
        }
    }
}

struct ReadyFiles {
    signal: bool,
    reply: bool,
    output: bool,
    input: bool,
}

impl Terminal {
    fn copy_input(&mut self) {
        let mut buffer = [0_u8; 4096];
        match nix::unistd::read(std::io::stdin().as_fd(), &mut buffer) {
            Ok(0) | Err(Errno::EIO) => self.input_ended = true,
            Ok(length) => {
                let _ = self.master.write_all(&buffer[..length]);
            }
            Err(_) => {}
        }
    }

    /// Copies output to standard output. False when no process has the terminal open any more.
    fn copy_output(&mut self) -> bool {
        let mut buffer = [0_u8; 4096];
        match self.master.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                let mut output = std::io::stdout().lock();
                let _ = output.write_all(&buffer[..length]).and_then(|()| output.flush());
                true
            }
            Err(error) => error.kind() == std::io::ErrorKind::Interrupted,
        }
    }

    /// Copies the output that the command wrote before its end.
    fn drain(&mut self) {
        let is_ready = |master: BorrowedFd<'_>| {
            let mut files = [PollFd::new(master, PollFlags::POLLIN)];
            poll(&mut files, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        };
        while is_ready(self.master.as_fd()) && self.copy_output() {}
    }

    fn follow_size(&self) {
        if let Ok(size) = window_size(std::io::stdin()) {
            let _ = set_window_size(&self.master, &size);
        }
    }
}

/// The user's terminal in raw mode, until this value is dropped.
struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    fn enter() -> Option<RawMode> {
        let terminal = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let raw = RawMode { terminal, before };
        raw.again();
        Some(raw)
    }

    fn again(&self) {
        let mut raw = self.before.clone();
        cfmakeraw(&mut raw);
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &raw);
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}
