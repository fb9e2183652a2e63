//! The actors of one side.

use super::actor::{ActorHello, ActorReply, ActorRequest, reap};
use super::operation::Act;
use super::outcome::OperationOutcome;
use super::process;
use super::wire;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use penfold_testkit::proc;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whether an actor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActorLife {
    Alive,
    Zombie,
    Gone,
}

#[derive(Debug)]
struct Actor {
    pid: i32,
    life: ActorLife,
    parent: Option<String>,
    stream: Option<BufReader<UnixStream>>,
    threads: BTreeMap<String, i32>,
    /// The act that the actor has not finished yet, because it is frozen.
    pending: Option<Act>,
    /// The reply to the pending act.
    reply: Option<ActorReply>,
}

/// The actors of one side, by name, and the socket at which new ones report.
#[derive(Debug)]
pub(super) struct ActorPool {
    listener: UnixListener,
    socket: PathBuf,
    /// The words before an actor's arguments: the helper program, perhaps behind a program that starts it in a cgroup.
    launcher: Vec<PathBuf>,
    actors: BTreeMap<String, Actor>,
    /// The directory in which there may be frozen groups.
    freezer: Option<PathBuf>,
    /// Whether a process with a frozen thread must neither end nor execute.
    spares_frozen: bool,
    /// Connections of actors that have reported and are not in `actors` yet, by pid.
    early: HashMap<i32, BufReader<UnixStream>>,
}

impl ActorPool {
    pub(super) fn new(work_dir: &Path, launcher: Vec<PathBuf>) -> io::Result<Self> {
        let socket = work_dir.join("actors");
        let listener = UnixListener::bind(&socket)?;
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        Ok(Self {
            listener,
            socket,
            launcher,
            actors: BTreeMap::new(),
            freezer: None,
            spares_frozen: false,
            early: HashMap::new(),
        })
    }

    /// From now on skips acts that would end a frozen thread of a process.
    pub(super) fn spare_frozen(&mut self) {
        self.spares_frozen = true;
    }

    /// Begins a sequence with frozen groups only in this directory.
    pub(super) fn begin(&mut self, freezer: Option<PathBuf>) {
        self.freezer = freezer;
    }

    fn is_frozen(&self, tid: i32) -> bool {
        self.freezer.as_ref().is_some_and(|root| process::is_in_frozen_group(root, tid))
    }

    fn has_frozen_thread(&self, actor: &Actor) -> bool {
        actor.threads.values().chain([&actor.pid]).any(|tid| self.is_frozen(*tid))
    }

    /// Every pid and tid that was ever given out, with its name; a process's own number is its first thread's.
    pub(super) fn names(&self) -> HashMap<i32, String> {
        let mut names = HashMap::new();
        for (name, actor) in &self.actors {
            names.insert(actor.pid, name.clone());
            names.extend(actor.threads.iter().map(|(thread, tid)| (*tid, format!("{name}.{thread}"))));
        }
        names
    }

    /// The number behind `a1` or `a1.t1`.
    pub(super) fn number(&self, name: &str) -> Option<i32> {
        match name.split_once('.') {
            None => self.actors.get(name).map(|actor| actor.pid),
            Some((actor, thread)) => self.actors.get(actor)?.threads.get(thread).copied(),
        }
    }

    /// Performs an act. An I/O error is an error of the test itself.
    pub(super) fn act(&mut self, name: &str, act: &Act) -> io::Result<OperationOutcome> {
        match act {
            Act::Start { user } => return self.start(name, *user),
            Act::Reap => return self.reap(name),
            Act::Look => return Ok(self.look(name)),
            _ => {}
        }
        let Some(actor) = self.actors.get(name) else { return Ok(OperationOutcome::Skipped) };
        if actor.life != ActorLife::Alive || actor.pending.is_some() {
            return Ok(OperationOutcome::Skipped);
        }
        let ends_threads = matches!(act, Act::Exit | Act::Exec { .. }) && !actor.threads.is_empty();
        if self.spares_frozen && ends_threads && self.has_frozen_thread(actor) {
            return Ok(OperationOutcome::Skipped);
        }
        let thread = |thread: &String| actor.threads.get(thread).copied();
        let request = match act {
            Act::Fork { .. } => ActorRequest::Fork,
            Act::Thread { .. } => ActorRequest::Thread,
            Act::EndThread { thread: t } => match thread(t) {
                Some(tid) => ActorRequest::EndThread(tid),
                None => return Ok(OperationOutcome::Skipped),
            },
            Act::Exec { thread: None } => ActorRequest::Exec(None),
            Act::Exec { thread: Some(t) } => match thread(t) {
                Some(tid) => ActorRequest::Exec(Some(tid)),
                None => return Ok(OperationOutcome::Skipped),
            },
            Act::Exit => ActorRequest::Exit,
            Act::SetAffinity { cpus } => ActorRequest::SetAffinity(cpus.clone()),
            Act::Burn => ActorRequest::Burn,
            Act::Start { .. } | Act::Reap | Act::Look => unreachable!("done above"),
        };
        self.send_request(name, request, act)
    }

    /// Sends a request and waits for its outcome.
    fn send_request(&mut self, name: &str, request: ActorRequest, act: &Act) -> io::Result<OperationOutcome> {
        let actor = self.actors.get_mut(name).expect("the caller has it");
        let stream = actor.stream.as_mut().expect("an actor that lives has a connection");
        wire::put(stream.get_mut(), &request)?;
        actor.pending = Some(act.clone());
        self.finish(name)
    }

    /// Finishes the pending acts of actors that were frozen, and returns a line for each.
    pub(super) fn catch_up(&mut self) -> io::Result<Vec<String>> {
        let waiting: Vec<_> =
            self.actors.iter().filter(|(_, a)| a.pending.is_some()).map(|(n, _)| n.clone()).collect();
        let mut lines = Vec::new();
        for name in waiting {
            let outcome = self.finish(&name)?;
            lines.push(format!("{name}: {outcome:?}"));
        }
        Ok(lines)
    }

    /// Waits for the pending act of an actor, unless a thread that the act needs is frozen.
    fn finish(&mut self, name: &str) -> io::Result<OperationOutcome> {
        let (mut polls, mut frozen) = (0, false);
        let came = process::comes(|| {
            polls += 1;
            self.is_done(name) || {
                frozen = polls > 3 && self.needed(name).into_iter().any(|tid| self.is_frozen(tid));
                frozen
            }
        });
        if frozen {
            return Ok(OperationOutcome::Stuck);
        }
        let actor = self.actors.get_mut(name).expect("the caller has it");
        let (pid, act) = (actor.pid, actor.pending.take().expect("something is under way"));
        let reply = actor.reply.take();
        if !came {
            let threads = process::threads(pid);
            return Err(io::Error::other(format!("{name} does not answer {act:?}: {threads}")));
        }
        match (act, reply) {
            (_, Some(ActorReply::Failed(raw))) => return Ok(OperationOutcome::failed(Errno::from_raw(raw))),
            (Act::Exit, _) => self.mark_zombie(name),
            (Act::Exec { .. }, _) => {
                actor.stream = self.early.remove(&pid);
                actor.threads.clear();
            }
            (Act::Thread { thread }, Some(ActorReply::Task(tid))) => drop(actor.threads.insert(thread, tid)),
            (Act::Fork { child }, Some(ActorReply::Task(pid))) => {
                self.join(&child, pid, Some(name.to_owned()))?;
            }
            _ => {}
        }
        Ok(OperationOutcome::Done)
    }

    /// The threads without which an actor can't finish its pending act.
    fn needed(&self, name: &str) -> Vec<i32> {
        let actor = &self.actors[name];
        let mut needed = vec![actor.pid];
        match &actor.pending {
            // all must be gone
            Some(Act::Exit | Act::Exec { .. }) => needed.extend(actor.threads.values()),
            Some(Act::EndThread { thread }) => needed.push(actor.threads[thread]),
            _ => {}
        }
        needed
    }

    fn is_done(&mut self, name: &str) -> bool {
        self.poll(name);
        self.accept();
        let actor = &self.actors[name];
        match (&actor.pending, &actor.reply) {
            (_, Some(ActorReply::Failed(_))) => true,
            (Some(Act::Exit), _) => process::is_zombie(actor.pid),
            (Some(Act::Exec { .. }), _) => {
                let gone = actor.threads.values().all(|tid| !is_thread_of(*tid, actor.pid));
                gone && self.early.contains_key(&actor.pid)
            }
            (Some(Act::EndThread { thread }), reply) => {
                reply.is_some() && !is_thread_of(actor.threads[thread], actor.pid)
            }
            (_, reply) => reply.is_some(),
        }
    }

    /// Reads the reply of an actor, if there is one.
    fn poll(&mut self, name: &str) {
        let Some(actor) = self.actors.get_mut(name) else { return };
        let Some(stream) = actor.stream.as_mut() else { return };
        // a reply is one small write: when its beginning is there, all of it is
        let mut fds = [PollFd::new(stream.get_ref().as_fd(), PollFlags::POLLIN)];
        if actor.reply.is_none() && poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0) {
            actor.reply = wire::get(stream).ok();
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let _ = stream.set_nonblocking(false);
            let mut stream = BufReader::new(stream);
            if let Ok(ActorHello { pid }) = wire::get(&mut stream) {
                self.early.insert(pid, stream);
            }
        }
    }

    /// Waits until a new actor has reported, and adds it.
    fn join(&mut self, name: &str, pid: i32, parent: Option<String>) -> io::Result<()> {
        let came = process::comes(|| {
            self.accept();
            self.early.contains_key(&pid)
        });
        if !came {
            return Err(io::Error::other(format!("{name} ({pid}) does not report")));
        }
        let stream = self.early.remove(&pid);
        let life = ActorLife::Alive;
        let actor = Actor { pid, life, parent, stream, threads: BTreeMap::new(), pending: None, reply: None };
        self.actors.insert(name.to_owned(), actor);
        Ok(())
    }

    fn start(&mut self, name: &str, user: bool) -> io::Result<OperationOutcome> {
        if self.actors.contains_key(name) {
            return Ok(OperationOutcome::Skipped);
        }
        let mut command = Command::new(&self.launcher[0]);
        command.args(&self.launcher[1..]).arg("actor").arg(&self.socket).arg(if user {
            "user"
        } else {
            "root"
        });
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        self.join(name, child.id().cast_signed(), None)?;
        Ok(OperationOutcome::Done)
    }

    /// Notes the death of an actor, whose children get another parent.
    fn mark_zombie(&mut self, name: &str) {
        if let Some(actor) = self.actors.get_mut(name) {
            actor.life = ActorLife::Zombie;
            actor.stream = None;
        }
        for child in self.actors.values_mut().filter(|a| a.parent.as_deref() == Some(name)) {
            child.parent = None;
        }
    }

    fn reap(&mut self, name: &str) -> io::Result<OperationOutcome> {
        let Some(actor) = self.actors.get(name) else { return Ok(OperationOutcome::Skipped) };
        let (pid, parent) = (actor.pid, actor.parent.clone());
        if actor.life != ActorLife::Zombie {
            return Ok(OperationOutcome::Skipped);
        }
        if let Some(parent) = parent {
            let actor = &self.actors[&parent];
            if actor.pending.is_some() || self.is_frozen(actor.pid) {
                return Ok(OperationOutcome::Skipped);
            }
            let outcome = self.ask_to_reap(&parent, pid)?;
            if outcome != OperationOutcome::Done {
                return Ok(outcome);
            }
        } else {
            reap(Pid::from_raw(pid))?;
        }
        self.actors.get_mut(name).expect("still there").life = ActorLife::Gone;
        Ok(OperationOutcome::Done)
    }

    fn ask_to_reap(&mut self, parent: &str, pid: i32) -> io::Result<OperationOutcome> {
        let stream = self.actors.get_mut(parent).and_then(|a| a.stream.as_mut());
        let Some(stream) = stream else { return Ok(OperationOutcome::Skipped) };
        wire::put(stream.get_mut(), &ActorRequest::Reap(pid))?;
        match wire::get(stream)? {
            ActorReply::Failed(raw) => Ok(OperationOutcome::failed(Errno::from_raw(raw))),
            ActorReply::Done | ActorReply::Task(_) => Ok(OperationOutcome::Done),
        }
    }

    fn look(&self, name: &str) -> OperationOutcome {
        let Some(actor) = self.actors.get(name) else { return OperationOutcome::Skipped };
        if actor.life == ActorLife::Gone {
            return OperationOutcome::Skipped; // another process may have the number by now
        }
        let line = |name: &str, tid| {
            let state = process::settled_state(tid, self.is_frozen(tid));
            format!("{name} {state} {}", process::affinity(tid))
        };
        let mut lines = vec![line(name, actor.pid)];
        if actor.life == ActorLife::Alive {
            lines.extend(actor.threads.iter().map(|(thread, tid)| line(thread, *tid)));
        }
        OperationOutcome::Lines(lines)
    }

    /// Ends all actors, none of which may be frozen.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        for actor in self.actors.values().filter(|actor| actor.life == ActorLife::Alive) {
            let _ = kill(Pid::from_raw(actor.pid), Signal::SIGKILL);
        }
        // this process becomes the parent of children of dead actors
        let mut left: Vec<i32> = self
            .actors
            .values()
            .filter(|actor| actor.life != ActorLife::Gone)
            .map(|actor| actor.pid)
            .collect();
        let all_gone = process::comes(|| {
            left.retain(|pid| {
                let waited = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
                !matches!(waited, Ok(status) if status != WaitStatus::StillAlive)
                    && proc::state(*pid).is_some()
            });
            left.is_empty()
        });
        self.actors.clear();
        self.accept();
        self.early.clear();
        if all_gone { Ok(()) } else { Err(io::Error::other(format!("{left:?} can't be ended"))) }
    }
}

impl Drop for ActorPool {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

/// Whether a process has a thread of this number, by the list of its threads.
///
/// A look-up of the one number in /proc may succeed as long as the process lives. A thread that executes takes its
/// leader's number. After a look-up of the old number at that moment, the kernel keeps an entry that stands for the
/// leader.
fn is_thread_of(tid: i32, pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.into_iter().any(|thread| thread.file_name().to_str() == Some(&tid.to_string()))
}

/// The time after which nothing more is expected.
pub(super) const MOMENT: Duration = Duration::from_millis(20);
