//! The filter of a process that runs already: the process is made to install it itself.
//!
//! Every thread of the process is interrupted. The first that stops makes the calls, and the kernel gives the filter to
//! all threads at once (`SECCOMP_FILTER_FLAG_TSYNC`). The others stay stopped until then.
//!
//! The calls need the kernel's own stop on the way back to the program (`PTRACE_EVENT_STOP`). There the kernel has not
//! yet decided about an interrupted system call. With restored registers it restarts the call, or not, as it would
//! have. Every other stop is followed by that one before the program runs again. So is the end of a system call that
//! can't be interrupted.
//!
//! The kernel abandons a fork that a thread begins while its interrupt is pending, and the thread makes it again
//! afterwards. So no fork is missed.
//!
//! The calls are a state of the task, like everything that takes more than one stop: see [`Injection`].

use std::io;
use std::time::{Duration, Instant};

use libc::c_int;
use penfold_core::Tid;

use super::policy::{Notice, Policy};
use super::supervisor::{Supervisor, ptrace_options};
use super::table::TaskState;
use crate::proc::{self, SeccompMode, StatusFile};
use crate::trace::os::arch::Injector;
use crate::trace::os::filter::TracedCalls;
use crate::trace::os::injection::{Injection, InjectionError, InjectionProgress, InstallError};
use crate::trace::os::{task, wait};

/// The time that a task gets to make the calls before its process goes on without the filter.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a filter can be put into a task; otherwise the reason why not. The facts may change until the installation,
/// which then fails with [`Notice::FilterFailed`].
///
/// `ours` is the number of filters of this crate that the task has. Each of them permits the calls.
pub(crate) fn check_injectable(task: Tid, ours: u32) -> Result<(), String> {
    if !Injector::EXISTS {
        return Err("not on this processor architecture".to_owned());
    }
    match StatusFile::read(task).and_then(|status| status.seccomp()) {
        // gone: no filter is needed
        None | Some(SeccompMode::Disabled) => {}
        Some(SeccompMode::Strict) => return Err("it is in seccomp's strict mode".to_owned()),
        // a launched task inherits the filters of this process; a filter on top of them may forbid the calls
        Some(SeccompMode::Filter)
            if filters_above_own(task).is_some_and(|above| ours > 0 && above <= ours) => {}
        Some(_) => {
            return Err("it has a system call filter of its own, which may forbid the calls".to_owned());
        }
    }
    let mut header = [0; 20];
    match proc::read_program_start(task, &mut header) {
        Ok(()) if Injector::understands(&header) => Ok(()),
        Ok(()) => Err("it runs a program of another architecture".to_owned()),
        // a dying task has no program any more
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("the program that it runs can't be read: {error}")),
    }
}

/// Whether no other process could overwrite the filter of this task's process; otherwise the reason. It looks at every
/// process of the machine, so a caller asks for one thread of a process only. `is_member` is true for tasks of this
/// supervisor.
pub(crate) fn check_unshared(task: Tid, is_member: impl Fn(Tid) -> bool) -> Result<(), String> {
    let Some(other) = outsider_with_its_memory(task, is_member) else { return Ok(()) };
    let name = proc::command_name(other);
    Err(format!(
        "process {other} ({name}) shares its memory, and could overwrite the filter; only root can limit both, \
         attached together"
    ))
}

/// A process that shares the memory of a task's process and is not supervised: it could overwrite the filter before the
/// kernel reads it.
///
/// A supervised process may do so too, before it has its own filter. It is trusted only where the installed filter can be
/// read back. A task that waits for its vfork child goes on only when the child shares its memory no more.
fn outsider_with_its_memory(task: Tid, is_member: impl Fn(Tid) -> bool) -> Option<Tid> {
    let group = StatusFile::read(task)?.group()?;
    let reads_back = can_read_filters();
    let is_vfork_child = |other: Tid| {
        proc::state(task) == Some('D')
            && StatusFile::read(other).and_then(|status| status.parent()) == Some(group)
    };
    // two tasks without memory are equal too, such as a dying one and a kernel thread
    let has_memory = |other: Tid| StatusFile::read(other).is_some_and(|status| status.has_memory());
    proc::processes().into_iter().find(|&other| {
        other != group
            && !(reads_back && is_member(other))
            && task::share_memory(task, other)
            && has_memory(other)
            && !is_vfork_child(other)
    })
}

/// Whether this process may read the filters of a tracee: with `CAP_SYS_ADMIN`, and without a filter itself.
fn can_read_filters() -> bool {
    let own = StatusFile::read(task::gettid());
    own.is_some_and(|own| own.may_administer() && own.seccomp() == Some(SeccompMode::Disabled))
}

/// The number of filters that a task has beyond those of this process. `None` when it is gone, and before Linux 5.9,
/// which does not count them.
fn filters_above_own(task: Tid) -> Option<u32> {
    let filters = |task| StatusFile::read(task)?.filters();
    let own = filters(task::gettid())?;
    Some(filters(task)?.saturating_sub(own))
}

impl<P: Policy> Supervisor<P> {
    /// Makes a task that stopped on its way back to its program install the filter that it wants, or wait for the
    /// thread that does. True if so; the task stops once more at the same place.
    pub(crate) fn put_filter(&mut self, tid: Tid, signal: c_int, policy: &mut P) -> bool {
        let Some(task) = self.tasks.entries.get_mut(&tid) else { return false };
        task.filtered_meanwhile = false;
        let Some(interest) = task.wants else { return false };
        if signal != libc::SIGTRAP || self.closing || task.killed || task.detach || task.worker {
            return false;
        }
        let tgid = task.tgid;
        let traces_exec = if task.traces_exec { libc::PTRACE_O_TRACEEXEC } else { 0 };
        let options = ptrace_options(task.lineage) | traces_exec;
        let Some(process) = self.tasks.processes.get_mut(&tgid) else { return false };
        if process.injector.is_some() {
            task.state = TaskState::AwaitsFilter(signal);
            wait::consume(tid);
            return true;
        }
        match Injection::begin(tid, options, interest) {
            Ok(injection) => {
                task.injection = Some(Box::new(injection));
                task.state = TaskState::Running;
                process.injector = Some((tid, Instant::now()));
                self.injected.insert(tgid);
                true
            }
            // its death is reported next
            Err(InjectionError::Gone) => true,
            Err(InjectionError::Refused(reason)) => {
                self.filter_failed(tgid, reason, policy);
                false
            }
        }
    }

    /// Deals with a stop of a task that installs a filter. False when the stop does not belong to the installation.
    pub(crate) fn on_injection_stop(
        &mut self,
        tid: Tid,
        signal: c_int,
        event: c_int,
        policy: &mut P,
    ) -> bool {
        let Some(task) = self.tasks.get_mut(tid) else { return false };
        let tgid = task.tgid;
        let Some(injection) = task.injection.as_mut() else { return false };
        let interest = injection.interest();
        let installed = match injection.on_stop(signal, event) {
            InjectionProgress::Goes => return true,
            InjectionProgress::Gone => {
                self.abandon_injection(tid, policy);
                return false;
            }
            InjectionProgress::Done(installed) => installed,
        };
        if let Some(injection) = task.injection.take() {
            injection.end();
        }
        self.end_injection(tgid);
        match installed {
            Err(InstallError::Failed(reason)) => self.filter_failed(tgid, reason, policy),
            Err(InstallError::Overwritten) => self.kill_overwriter(tgid, policy),
            // also an installation that was given up meanwhile
            Ok(()) => self.note_filter(tid, tgid, interest),
        }
        self.resume_waiting(tgid, policy);
        true
    }

    /// Kills a process whose filter was overwritten in its memory: no limit could hold it or its children.
    fn kill_overwriter(&mut self, tgid: Tid, policy: &mut P) {
        let reason = "another process wrote over the filter in its memory, so the process was killed";
        self.filter_failed(tgid, reason.to_owned(), policy);
        for tid in self.tasks.threads_of(tgid).to_vec() {
            if let Some(task) = self.tasks.get_mut(tid) {
                task.killed = true;
            }
        }
        // ESRCH: it is dead
        let _ = task::kill(tgid, libc::SIGKILL);
    }

    /// Ends the installation of a task that goes, if it makes one: another thread takes its turn.
    pub(crate) fn abandon_injection(&mut self, tid: Tid, policy: &mut P) {
        let Some(task) = self.tasks.get_mut(tid) else { return };
        let tgid = task.tgid;
        if task.injection.take().is_none() {
            return;
        }
        self.end_injection(tgid);
        self.resume_waiting(tgid, policy);
    }

    fn end_injection(&mut self, tgid: Tid) {
        self.injected.remove(&tgid);
        if let Some(process) = self.tasks.processes.get_mut(&tgid) {
            process.injector = None;
        }
    }

    /// Continues threads that waited for a filter: with it, without it, or to install it.
    fn resume_waiting(&mut self, tgid: Tid, policy: &mut P) {
        for tid in self.tasks.threads_of(tgid).to_vec() {
            let Some(task) = self.tasks.get_mut(tid) else { continue };
            let TaskState::AwaitsFilter(signal) = task.state else { continue };
            task.state = TaskState::Running;
            if !self.put_filter(tid, signal, policy) {
                self.stop_or_resume(tid, signal, policy);
            }
        }
    }

    fn note_filter(&mut self, by: Tid, tgid: Tid, interest: TracedCalls) {
        for thread in self.tasks.threads_of(tgid).to_vec() {
            let Some(task) = self.tasks.get_mut(thread) else { continue };
            let interest = interest.with(task.lineage.filter.unwrap_or(interest));
            task.lineage.filter = Some(interest);
            task.lineage.filters += 1;
            // a second rule may need more meanwhile
            task.wants = task.wants.filter(|wants| interest.with(*wants) != interest);
            task.filtered_meanwhile = thread != by;
        }
    }

    fn filter_failed(&mut self, tgid: Tid, reason: String, policy: &mut P) {
        for thread in self.tasks.threads_of(tgid).to_vec() {
            if let Some(task) = self.tasks.get_mut(thread) {
                task.wants = None;
            }
        }
        policy.notice(Notice::FilterFailed { tgid, comm: proc::command_name(tgid), reason });
    }

    /// Gives up installations whose thread does not come to make its calls: it keeps the other threads of its process
    /// stopped.
    pub(crate) fn give_up_injections(&mut self, policy: &mut P) {
        if self.injected.is_empty() {
            return;
        }
        let late = |tgid: &Tid| {
            let (tid, since) = self.tasks.processes.get(tgid)?.injector?;
            (since.elapsed() > PATIENCE).then_some((*tgid, tid))
        };
        let late: Vec<(Tid, Tid)> = self.injected.iter().filter_map(late).collect();
        for (tgid, tid) in late {
            let state = proc::state(tid).unwrap_or('X');
            // the thread makes the calls if it ever can
            self.injected.remove(&tgid);
            self.filter_failed(
                tgid,
                format!("its thread {tid} (state {state}) does not come to install it"),
                policy,
            );
            self.resume_waiting(tgid, policy);
        }
    }
}
