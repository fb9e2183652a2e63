//! An actor: a process that exists to be moved, to multiply and to die.

use super::operator::USER;
use super::wire;
use crate::ops::errno;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, gettid, setgroups, setresgid, setresuid};
use penfold_testkit::retry;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A request to an actor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum ActorRequest {
    Fork,
    Thread,
    EndThread(i32),
    /// Executes from the thread with this tid, or from the first one.
    Exec(Option<i32>),
    Exit,
    Reap(i32),
    SetAffinity(Vec<usize>),
    Burn,
}

/// The reply to a request. An exit, and an exec that works, has none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ActorReply {
    Done,
    /// The tid or pid of a new thread or process.
    Task(i32),
    Failed(i32),
}

/// The first message of an actor, also after each exec.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ActorHello {
    pub(super) pid: i32,
}

/// A command to one thread of an actor.
enum ThreadCommand {
    Exec,
}

/// Serves requests from the socket until it is closed, as user 65534 if `user`.
pub fn serve(socket: &Path, user: bool) -> io::Result<()> {
    if user && nix::unistd::geteuid().is_root() {
        setgroups(&[])?;
        setresgid(Gid::from_raw(USER), Gid::from_raw(USER), Gid::from_raw(USER))?;
        setresuid(Uid::from_raw(USER), Uid::from_raw(USER), Uid::from_raw(USER))?;
    }
    let mut output = UnixStream::connect(socket)?;
    let mut input = BufReader::new(output.try_clone()?);
    wire::put(&mut output, &ActorHello { pid: std::process::id().cast_signed() })?;
    let mut threads = HashMap::new();
    // the end of the socket is the end of the test
    while let Ok(request) = wire::get(&mut input) {
        let reply =
            answer(request, &mut threads, socket, user).unwrap_or_else(|e| ActorReply::Failed(e as i32));
        wire::put(&mut output, &reply)?;
    }
    Ok(())
}

fn answer(
    request: ActorRequest,
    threads: &mut HashMap<i32, Sender<ThreadCommand>>,
    socket: &Path,
    user: bool,
) -> Result<ActorReply, Errno> {
    match request {
        ActorRequest::Fork => {
            start(socket, user).spawn().map(|child| ActorReply::Task(child.id().cast_signed())).map_err(errno)
        }
        ActorRequest::Thread => start_thread(threads, socket.to_path_buf(), user),
        ActorRequest::EndThread(tid) => threads.remove(&tid).map(|_| ActorReply::Done).ok_or(Errno::ESRCH),
        ActorRequest::Exec(None) => Err(errno(start(socket, user).exec())),
        ActorRequest::Exec(Some(tid)) => {
            let errand = threads.get(&tid).ok_or(Errno::ESRCH)?;
            errand.send(ThreadCommand::Exec).map_err(|_| Errno::ESRCH)?;
            loop {
                thread::park(); // until the exec ends this thread
            }
        }
        ActorRequest::Exit => std::process::exit(0),
        ActorRequest::Reap(pid) => reap(Pid::from_raw(pid)).map(|()| ActorReply::Done),
        ActorRequest::SetAffinity(cpus) => {
            let mut set = CpuSet::new();
            for cpu in cpus {
                set.set(cpu)?;
            }
            sched_setaffinity(Pid::from_raw(0), &set).map(|()| ActorReply::Done)
        }
        ActorRequest::Burn => {
            let end = Instant::now() + Duration::from_millis(20);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            Ok(ActorReply::Done)
        }
    }
}

/// The command line of another actor with the same program.
fn start(socket: &Path, user: bool) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("actor").arg(socket).arg(if user { "user" } else { "root" });
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn start_thread(
    threads: &mut HashMap<i32, Sender<ThreadCommand>>,
    socket: std::path::PathBuf,
    user: bool,
) -> Result<ActorReply, Errno> {
    let (tell, told) = channel();
    let (errands, to_do) = channel();
    let body = move || {
        let _ = tell.send(gettid().as_raw());
        // ends when the sender is dropped
        while let Ok(ThreadCommand::Exec) = to_do.recv() {
            let _ = start(&socket, user).exec();
        }
    };
    thread::Builder::new().spawn(body).map_err(errno)?;
    let tid = told.recv().map_err(|_| Errno::ESRCH)?;
    threads.insert(tid, errands);
    Ok(ActorReply::Task(tid))
}

/// Reaps a zombie. A tracer of the process may have to see the death first. `ETIMEDOUT` after ten seconds.
pub(super) fn reap(pid: Pid) -> Result<(), Errno> {
    let reaped = retry(Duration::from_secs(10), || match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) => Err(Errno::ETIMEDOUT),
        outcome => Ok(outcome),
    });
    reaped?.map(drop)
}
