//! Running a hierarchy's release agent (C8.3).

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, thread};

use penfold_core::{Credentials, Release};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::descriptor::close_all_on_exec;
use crate::descriptor_limit::{give_back, given_back};
use crate::orphans::Orphans;
use crate::trace::{Inheritance, join_new_keyring, reset_signals};

/// The most agents that run at one time. Further releases wait.
pub const AGENTS_AT_ONCE: usize = 64;
/// The most releases that wait, and the most bytes of their texts. Each cgroup waits at most once.
const WAITING: usize = 65_536;
const WAITING_BYTES: usize = 32 << 20;
/// The time after which an agent is reported as slow.
const SLOW: Duration = Duration::from_secs(10);
/// The interval of the search for orphans of agents.
const REAP_EVERY: Duration = Duration::from_secs(5);
/// Bytes. A thread that waits for one child needs next to nothing.
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

/// Starts the agent with the released cgroup's path as its argument, and does not wait for it. The agent's exit status
/// has no effect, and a failed agent is not started again.
///
/// The agent gets `HOME=/` and `PATH=/sbin:/bin:/usr/sbin:/usr/bin`, the root directory as its working directory, and
/// no input.
///
/// # Errors
/// Those of execve(2), for a message.
pub fn run_agent(release: &Release) -> io::Result<()> {
    given_back(&mut command(release)).spawn().map(drop)
}

/// An occurrence with an agent, for a log.
#[derive(Debug)]
pub enum AgentNotice {
    /// The agent could not be executed.
    Failed(Release, io::Error),
    /// The agent, with this process id, has run for this time and still runs.
    Slow(Release, u32, Duration),
    /// Too many releases wait already. This one is dropped.
    Dropped(Release),
}

enum AgentEvent {
    Release(Release),
    Ended(u32),
}

/// Runs the release agents of a daemon, on threads of its own.
///
/// Each agent is started as by [`run_agent`], and in addition:
///
/// - It has a session of its own, and only `/dev/null` open.
/// - Signal dispositions and umask (022) are those of any new program.
/// - It has a session keyring of its own, and the priority and the protections of any new program.
/// - User and group are those of the mounter of the hierarchy, if this process is root's.
///
/// At most [`AGENTS_AT_ONCE`] agents run at one time. A cgroup whose release waits already does not wait twice.
#[derive(Debug, Clone)]
pub struct Agents {
    events: mpsc::Sender<AgentEvent>,
}

impl Agents {
    /// Starts the thread that runs agents, which lives as long as the process. `note` is called on that thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(note: impl Fn(AgentNotice) + Send + 'static) -> io::Result<Agents> {
        let (events, received) = mpsc::channel();
        let runner = AgentRunner {
            events: events.clone(),
            note: Box::new(note),
            waiting: VecDeque::new(),
            bytes: 0,
            known: HashSet::new(),
            running: HashMap::new(),
            orphans: None,
        };
        thread::Builder::new().name("release-agents".to_owned()).spawn(move || runner.run(&received))?;
        Ok(Agents { events })
    }

    /// Queues a release. The agent runs soon. Never waits.
    pub fn release(&self, release: Release) {
        // sending can't fail: the thread ends with the process only
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
    /// The bytes of the texts of all that wait.
    bytes: usize,
    /// Hierarchy and path of each waiting release.
    known: HashSet<(u32, Vec<u8>)>,
    running: HashMap<u32, RunningAgent>,
    /// Searched once the first agent has run, with the time of the last search.
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
                self.bytes -= text_bytes(&release);
                self.known.remove(&(release.hierarchy, release.path.clone()));
                self.start(release);
            }
            self.report_slow();
            self.reap_orphans();
        }
    }

    /// The time until something has to be done without an event.
    fn timeout(&self) -> Duration {
        let slow =
            self.running.values().filter(|running| !running.reported).map(|running| running.since + SLOW);
        let reap = self.orphans.as_ref().map(|(_, last)| *last + REAP_EVERY);
        let next = slow.chain(reap).min();
        next.map_or(Duration::MAX, |next| next.saturating_duration_since(Instant::now()))
    }

    fn enqueue(&mut self, release: Release) {
        if self.waiting.len() >= WAITING || self.bytes + text_bytes(&release) > WAITING_BYTES {
            (self.note)(AgentNotice::Dropped(release));
        } else if self.known.insert((release.hierarchy, release.path.clone())) {
            self.bytes += text_bytes(&release);
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
            // the tracer thread waits only for tracees and its own children, so this child can be reaped here
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

/// The bytes of a release's texts. The path is kept twice.
fn text_bytes(release: &Release) -> usize {
    2 * release.path.len() + release.agent.len()
}

fn spawn(release: &Release) -> io::Result<Child> {
    let mut command = command(release);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let Credentials { uid, gid } = release.mounter;
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let user = (own.0 == 0 && own != (uid, gid)).then_some((uid, gid));
    let fresh = Inheritance::fresh();
    // SAFETY: the closure makes system calls only. It takes no lock and allocates nothing.
    unsafe { command.pre_exec(move || detach(&fresh, user)) };
    command.spawn()
}

/// Runs between fork and exec. Removes everything that the agent must not inherit from this process.
fn detach(fresh: &Inheritance, user: Option<(u32, u32)>) -> io::Result<()> {
    // EPERM: an agent of a user without privilege keeps what this process has no right to raise
    let _ = fresh.apply();
    if let Some((uid, gid)) = user {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        // bare system calls, for the only thread of a forked child
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    join_new_keyring()?;
    reset_signals();
    // SAFETY: takes a number.
    unsafe { libc::umask(0o022) };
    nix::unistd::setsid()?;
    give_back();
    close_all_on_exec();
    Ok(())
}
