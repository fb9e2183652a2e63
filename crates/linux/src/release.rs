//! Running a hierarchy's release agent (C8.3).

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, thread};

use penfold_core::Release;

use crate::descriptor::close_all_on_exec;
use crate::orphans::Orphans;

/// How many agents run at one time; further releases wait.
pub const AGENTS_AT_ONCE: usize = 64;
/// How many releases may wait. Each cgroup waits once only.
const WAITING: usize = 65_536;
/// After which time an agent is reported of as slow.
const SLOW: Duration = Duration::from_secs(10);
/// How often what agents have left behind is looked for.
const REAP_EVERY: Duration = Duration::from_secs(5);
/// A thread that waits for one child needs next to nothing.
const WAITER_STACK: usize = 64 * 1024;

fn command(release: &Release) -> Command {
    let mut command = Command::new(OsStr::from_bytes(&release.agent));
    command
        .arg(OsStr::from_bytes(&release.path))
        .env_clear()
        .env("HOME", "/")
        .env("PATH", "/sbin:/bin:/usr/sbin:/usr/bin")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// Starts the agent with the released cgroup's path, and does not wait for it: what it answers changes nothing, and a
/// failure is not tried again.
///
/// It gets `HOME=/` and `PATH=/sbin:/bin:/usr/sbin:/usr/bin`, the root as its directory, and no input.
///
/// # Errors
/// What execve(2) gives, for a message.
pub fn run_agent(release: &Release) -> io::Result<()> {
    command(release).spawn().map(drop)
}

/// What the log should have of an agent.
#[derive(Debug)]
pub enum AgentNotice {
    /// It could not be executed.
    Failed(Release, io::Error),
    /// It has run for so long now, as this process.
    Slow(Release, u32, Duration),
    /// Too many releases wait already; this one is dropped.
    Dropped(Release),
}

enum AgentEvent {
    Release(Release),
    Ended(u32),
}

/// Runs the release agents of a daemon, beside everything else it does.
///
/// As [`run_agent`], and besides each has a session and nothing open but `/dev/null`, signals and umask (022) as for any
/// new program, and, if this process is root's, user and group of who mounted the hierarchy. At most
/// [`AGENTS_AT_ONCE`] run at one time; a cgroup whose release waits already does not wait twice.
#[derive(Debug, Clone)]
pub struct Agents {
    events: mpsc::Sender<AgentEvent>,
}

impl Agents {
    /// Starts the thread that runs them, which lives as long as the process. `note` is called on it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(note: impl Fn(AgentNotice) + Send + 'static) -> io::Result<Agents> {
        let (events, received) = mpsc::channel();
        let runner = AgentRunner {
            events: events.clone(),
            note: Box::new(note),
            waiting: VecDeque::new(),
            known: HashSet::new(),
            running: HashMap::new(),
            orphans: None,
        };
        thread::Builder::new().name("release-agents".to_owned()).spawn(move || runner.run(&received))?;
        Ok(Agents { events })
    }

    /// Has the agent run, soon. Never waits.
    pub fn release(&self, release: Release) {
        // the thread ends with the process only
        let _ = self.events.send(AgentEvent::Release(release));
    }
}

struct RunningAgent {
    release: Release,
    since: Instant,
    reported: bool,
}

struct AgentRunner {
    events: mpsc::Sender<AgentEvent>,
    note: Box<dyn Fn(AgentNotice) + Send>,
    waiting: VecDeque<Release>,
    /// Hierarchy and path of what waits.
    known: HashSet<(u32, Vec<u8>)>,
    running: HashMap<u32, RunningAgent>,
    /// Looked after once the first agent has run.
    orphans: Option<(Orphans, Instant)>,
}

impl AgentRunner {
    fn run(mut self, received: &mpsc::Receiver<AgentEvent>) {
        loop {
            match received.recv_timeout(self.timeout()) {
                Ok(AgentEvent::Release(release)) => self.enqueue(release),
                Ok(AgentEvent::Ended(pid)) => drop(self.running.remove(&pid)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self.running.len() < AGENTS_AT_ONCE
                && let Some(release) = self.waiting.pop_front()
            {
                self.known.remove(&(release.hierarchy, release.path.clone()));
                self.start(release);
            }
            self.report_slow();
            self.reap_orphans();
        }
    }

    /// How long nothing has to be done without an event.
    fn timeout(&self) -> Duration {
        let slow =
            self.running.values().filter(|running| !running.reported).map(|running| running.since + SLOW);
        let reap = self.orphans.as_ref().map(|(_, last)| *last + REAP_EVERY);
        let next = slow.chain(reap).min();
        next.map_or(Duration::MAX, |next| next.saturating_duration_since(Instant::now()))
    }

    fn enqueue(&mut self, release: Release) {
        if self.waiting.len() >= WAITING {
            (self.note)(AgentNotice::Dropped(release));
        } else if self.known.insert((release.hierarchy, release.path.clone())) {
            self.waiting.push_back(release);
        }
    }

    fn start(&mut self, release: Release) {
        let started = spawn(&release).and_then(|child| {
            let pid = child.id();
            self.wait_for(child)?;
            Ok(pid)
        });
        match started {
            Ok(pid) => {
                self.running.insert(pid, RunningAgent { release, since: Instant::now(), reported: false });
                self.orphans.get_or_insert_with(|| (Orphans::default(), Instant::now()));
            }
            Err(error) => (self.note)(AgentNotice::Failed(release, error)),
        }
    }

    fn wait_for(&self, mut child: Child) -> io::Result<()> {
        let events = self.events.clone();
        let wait = move || {
            let pid = child.id();
            // the tracer thread waits for tracees and for children of its own only, so this one is ours to reap
            let _ = child.wait();
            let _ = events.send(AgentEvent::Ended(pid));
        };
        thread::Builder::new().name("release-agent".to_owned()).stack_size(WAITER_STACK).spawn(wait).map(drop)
    }

    fn report_slow(&mut self) {
        for (pid, running) in self.running.iter_mut().filter(|(_, running)| !running.reported) {
            let time = running.since.elapsed();
            if time >= SLOW {
                running.reported = true;
                (self.note)(AgentNotice::Slow(running.release.clone(), *pid, time));
            }
        }
    }

    fn reap_orphans(&mut self) {
        if let Some((orphans, last)) = &mut self.orphans
            && last.elapsed() >= REAP_EVERY
        {
            orphans.reap();
            *last = Instant::now();
        }
    }
}

fn spawn(release: &Release) -> io::Result<Child> {
    let mut command = command(release);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (uid, gid) = release.mounter;
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    if own.0 == 0 && own != (uid, gid) {
        command.uid(uid).gid(gid);
    }
    // SAFETY: the closure makes system calls only: no allocation, no lock.
    unsafe { command.pre_exec(detach) };
    command.spawn()
}

/// Between fork and exec: nothing of this process goes on in the agent.
fn detach() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: sets a disposition of this process, which has one thread and will execute a program; KILL and STOP
        // are refused, and so is what the C library keeps to itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: takes a number.
    unsafe { libc::umask(0o022) };
    nix::unistd::setsid()?;
    close_all_on_exec();
    Ok(())
}
