//! The methods `Signal` and `Kill`: signals to all processes of a cgroup, by the rule of kill(2) for the caller.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use penfold_core::{CgroupId, Engine, ErrorKind, Tid, host::HostView, tree::DepthFirst};
use penfold_linux::process::send_signal;

use super::context::{CallContext, about, number};
use crate::failure::Failure;
use crate::protocol::{KillCall, KillReply, SignalCall, SignalReply};
use crate::slices::{Counts, Slice};

const SIGKILL: i32 = 9;
const LAST_SIGNAL: i32 = 64;
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

pub(super) fn signal(context: &CallContext<'_>, call: SignalCall) -> Result<SignalReply, Failure> {
    let signal: i32 = number("signal", call.signal)?;
    if !(0..=LAST_SIGNAL).contains(&signal) {
        let detail = format!("not from 0 to {LAST_SIGNAL}");
        let subject = format!("signal {signal}");
        return Err(Failure::new(ErrorKind::InvalidArgument, Errno::EINVAL, subject, detail));
    }
    let cgroup = not_a_root(context, &call.cgroup)?;
    let signalled = signal_members(context, cgroup, signal, call.recursive.unwrap_or(false));
    let signalled = signalled.map_err(about(call.cgroup))?;
    Ok(SignalReply { processes: signalled.len() as i64 })
}

/// Signals in rounds until no process is left. A child that is being born during one round is a member in the next, and
/// its parent is dead by then.
pub(super) fn kill(context: &CallContext<'_>, call: KillCall) -> Result<KillReply, Failure> {
    let cgroup = not_a_root(context, &call.cgroup)?;
    let patience = context.server.limits.kill;
    let deadline = Instant::now() + patience;
    let mut killed = HashSet::new();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let signalled = signal_members(context, cgroup, SIGKILL, true).map_err(about(&call.cgroup))?;
        if signalled.is_empty() {
            return Ok(KillReply { processes: killed.len() as i64 });
        }
        let left = signalled.len();
        let new = signalled.into_iter().filter(|process| killed.insert(*process)).count();
        if Instant::now() > deadline {
            let detail = format!(
                "{left} processes are still there after {patience:?}; what waits inside the kernel dies when it \
                 comes out"
            );
            return Err(Failure::new(ErrorKind::Busy, Errno::EBUSY, call.cgroup, detail));
        }
        // while members still fork, the next round comes at once
        pause = if new > 0 { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        thread::sleep(pause);
    }
}

/// The cgroup at an address, unless it is a root. A root holds every process that is in no other cgroup, the daemon
/// itself and its administrator included.
fn not_a_root(context: &CallContext<'_>, address: &str) -> Result<CgroupId, Failure> {
    context.look_at(address, |engine, _, cgroup| {
        match engine.tree().get(cgroup).and_then(penfold_core::tree::Cgroup::parent) {
            Some(_) => Ok(cgroup),
            None => Err(Failure::new(
                ErrorKind::InvalidArgument,
                Errno::EINVAL,
                address,
                "the root of a hierarchy holds every process that is nowhere else; signal cgroups below it",
            )),
        }
    })
}

/// Sends a signal to all members, or to none if the caller may not signal one of those that are there at first. Returns
/// the processes that were signalled.
///
/// All members are checked before the first is signalled. Both are one request if that is short, see `slices.rs`.
/// Otherwise a process can come in between, and is checked when its turn comes. If the caller may not signal it, the
/// answer is the same error, and others have the signal.
fn signal_members(
    context: &CallContext<'_>,
    cgroup: CgroupId,
    signal: i32,
    recursive: bool,
) -> Result<Vec<Tid>, Failure> {
    let check = |host: &dyn HostView, process| must_be_allowed(context, host, process);
    let send = |host: &dyn HostView, process: Tid| {
        // the number may be another process's by now
        check(host, process)?;
        match send_signal(process.0, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => {
                let prefix = format!("the daemon may not signal process {}: ", shown(context, process));
                Err(Failure::system("", errno).with_prefix(prefix))
            }
        }
    };
    let mut checked = MemberWalk::new(cgroup, recursive);
    let mut sent = MemberWalk::new(cgroup, recursive);
    let mut all_at_once = true;
    context.service().in_slices(Counts::Exact, |engine, host| {
        let mut slice = Slice::begin();
        if checked.go_on(engine, host, &mut slice, check)? {
            all_at_once = false;
            return Ok(true);
        }
        if all_at_once {
            while sent.go_on(engine, host, &mut Slice::begin(), send)? {}
        }
        Ok(false)
    })?;
    if !all_at_once {
        context
            .service()
            .in_slices(Counts::Exact, |engine, host| sent.go_on(engine, host, &mut Slice::begin(), send))?;
    }
    let mut signalled: Vec<Tid> = sent.done.into_iter().collect();
    signalled.sort_unstable();
    Ok(signalled)
}

/// A walk over the processes of a cgroup, and perhaps of those below it. It can stop after any process. Cgroups without
/// members are left out.
struct MemberWalk {
    walk: DepthFirst,
    recursive: bool,
    /// The cgroup whose members are not through.
    at: Option<CgroupId>,
    /// A process with threads in several cgroups comes once.
    done: HashSet<Tid>,
}

impl MemberWalk {
    fn new(top: CgroupId, recursive: bool) -> MemberWalk {
        MemberWalk { walk: DepthFirst::new(top), recursive, at: None, done: HashSet::new() }
    }

    /// Calls `act` with further processes until the slice ends. Returns whether there may be more.
    ///
    /// A number can't go over to another process while `act` runs. Nobody reaps a member's zombie before the tracer has
    /// seen it, and the tracer comes after the request. So members are listed anew in each slice.
    fn go_on(
        &mut self,
        engine: &Engine,
        host: &dyn HostView,
        slice: &mut Slice,
        act: impl Fn(&dyn HostView, Tid) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        loop {
            if let Some(at) = self.at.filter(|at| engine.tree().get(*at).is_some()) {
                for process in engine.thread_groups(host, at) {
                    if self.done.contains(&process) {
                        continue;
                    }
                    if !slice.step() {
                        return Ok(true);
                    }
                    act(host, process)?;
                    self.done.insert(process);
                }
                self.at = None;
            }
            if !slice.step() {
                return Ok(true);
            }
            let Some((at, _)) = self.walk.next(engine.tree()) else { return Ok(false) };
            self.at = Some(at);
            if !self.recursive || !engine.tree()[at].is_populated() {
                self.walk.skip_below();
            }
        }
    }
}

/// Checks the rule of kill(2): root may signal all processes, another user those whose real or saved user it is.
///
/// # Errors
/// `EPERM`.
fn must_be_allowed(context: &CallContext<'_>, host: &dyn HostView, process: Tid) -> Result<(), Failure> {
    let caller = &context.client.caller;
    let mut facts = host.task(process);
    if facts.is_none() {
        // the first thread has ended before the others
        host.for_each_thread(process, &mut |thread| facts = facts.or_else(|| host.task(thread)));
    }
    let root = caller.uid == 0 && caller.privileged;
    if root || facts.is_some_and(|facts| caller.uid == facts.real_uid || caller.uid == facts.saved_uid) {
        return Ok(());
    }
    let owner = facts.map_or_else(|| "not known".to_owned(), |facts| facts.real_uid.to_string());
    let process = shown(context, process);
    let detail =
        format!("process {process} belongs to another user (uid {owner}), so no process got the signal");
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "", detail))
}

/// The number of a process in the client's pid namespace; the daemon's if it has none there.
fn shown(context: &CallContext<'_>, process: Tid) -> i32 {
    context.client.number(process).unwrap_or(process.0)
}
