//! One function per kind of stop, and death.

use libc::c_int;
use nix::errno::Errno;

use super::arch::Registers;
use super::filter::{self, Class};
use super::supervise::Supervisor;
use super::sys::{self, Report};
use super::table::{Pending, State, Task};
use super::{Fork, Notice, Policy, Tid};

/// How many killed tasks are remembered as possible parents.
const REMEMBERED: usize = 8;

/// A child that was seen before its parent reported it.
#[derive(Debug)]
pub(super) enum Early {
    /// In its first stop, with this signal.
    Stopped(c_int),
    /// Killed before its first stop, and reaped.
    Died {
        /// What it was a thread of; itself for a process.
        tgid: Tid,
        /// Its parent's process.
        parent: Tid,
    },
}

impl<P: Policy> Supervisor<P> {
    pub(super) fn on_stop(&mut self, tid: Tid, signal: c_int, event: c_int) {
        if event != sys::EVENT_STOP && !self.table.tasks.contains_key(&tid) {
            // a task we do not know can only be at its first stop; what else is there was never ours
            let _ = sys::cont(tid, signal);
            return;
        }
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                self.on_fork(tid);
            }
            sys::EVENT_STOP => self.on_event_stop(tid, signal),
            libc::PTRACE_EVENT_SECCOMP => self.on_seccomp(tid),
            libc::PTRACE_EVENT_EXEC => self.on_exec(tid),
            _ => self.on_signal(tid, signal),
        }
    }

    /// Lets a stopped task go on, unless it is frozen.
    pub(super) fn resume(&mut self, tid: Tid, signal: c_int) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        if task.freeze && !self.closing {
            task.state = State::Held(Pending::Continue(signal));
            return sys::consume(tid);
        }
        task.state = State::Running;
        let signal = if self.closing { libc::SIGKILL } else { signal };
        // ESRCH: killed meanwhile
        let _ = sys::cont(tid, signal);
    }

    /// A task has made a child.
    fn on_fork(&mut self, parent: Tid) {
        let charged = self.end_fork(parent);
        let Ok(message) = sys::event_message(parent) else {
            // killed at this very stop: the child is resolved as one whose parent died
            return self.cancel(parent, charged);
        };
        let child = message as Tid;
        if self.table.tasks.contains_key(&child) {
            // taken for an orphan before this report came
            self.cancel(parent, charged);
            return self.resume(parent, 0);
        }
        let early = self.early.remove(&child);
        let Some(task) = self.table.tasks.get(&parent) else { return };
        let (parent_tgid, cleared_flag) = (task.tgid, task.cleared_flag);
        let mut born = Task::new(parent_tgid);
        born.wanted_cpus.clone_from(&task.wanted_cpus);
        born.traces_exec = task.traces_exec;
        born.cleared_flag = cleared_flag;
        born.tgid = match early {
            Some(Early::Died { tgid, .. }) => tgid,
            // the event does not tell: clone with SIGCHLD can make a thread, and with another signal a
            // process
            _ if sys::is_thread_of(child, parent_tgid) => parent_tgid,
            _ => child,
        };
        let tgid = born.tgid;
        let cpu = self.table.processes.get(&parent_tgid).map_or(0, |process| process.cpu);
        self.table.insert(child, born, cpu);
        self.policy.forked(Fork { parent, child, tgid, charged, parent_died: false });
        if tgid == parent_tgid {
            self.trace_exec(parent, true);
        }
        self.restore_flag(parent);
        match early {
            Some(Early::Stopped(signal)) => self.first_stop(child, signal),
            Some(Early::Died { .. }) => self.bury(child),
            None => {}
        }
        self.resume(parent, 0);
    }

    /// A new child's first stop, an interrupt, a group stop, or its end.
    fn on_event_stop(&mut self, tid: Tid, signal: c_int) {
        match self.table.tasks.get(&tid).map(|task| task.state) {
            None => {
                sys::consume(tid);
                self.early.insert(tid, Early::Stopped(signal));
                if self.closing {
                    let _ = sys::kill(tid, libc::SIGKILL);
                }
            }
            Some(State::New) => self.first_stop(tid, signal),
            Some(_) => {
                self.fork_is_over(tid);
                self.stop_or_resume(tid, signal);
            }
        }
    }

    /// The child has been announced and stands before its first instruction.
    fn first_stop(&mut self, child: Tid, signal: c_int) {
        let Some(task) = self.table.tasks.get_mut(&child) else { return };
        task.state = State::Running;
        let is_process = task.tgid == child;
        if is_process && task.traces_exec {
            // ours by inheritance from a process of several threads
            self.trace_exec(child, false);
        } else if !is_process {
            self.trace_exec(child, true);
        }
        self.restore_flag(child);
        if self.policy.starts_frozen(child)
            && let Some(task) = self.table.tasks.get_mut(&child)
        {
            task.freeze = true;
        }
        self.stop_or_resume(child, signal);
    }

    /// A group stop leaves the task to the kernel, which ends the stop at `SIGCONT`; anything else is over.
    fn stop_or_resume(&mut self, tid: Tid, signal: c_int) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        let tgid = task.tgid;
        let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        if !stops || self.closing {
            if let Some(process) = self.table.processes.get_mut(&tgid) {
                process.stopped = false;
            }
            return self.resume(tid, 0);
        }
        task.state = State::Listening;
        let _ = sys::listen(tid);
        let Some(process) = self.table.processes.get_mut(&tgid) else { return };
        let first = !std::mem::replace(&mut process.stopped, true);
        if !first || tgid != self.main {
            return;
        }
        self.main_stops += 1;
        if self.options.follow_stops && !self.could_be_continued() {
            // returns when somebody continues us; SIGCONT for the whole job has reached the command too
            let _ = sys::kill(std::process::id() as Tid, libc::SIGSTOP);
        }
    }

    /// Whether the stop of the main command is the job's own affair: a process of the job sent the signal,
    /// and one is running that may send `SIGCONT`. It could not if we stopped, and everything with us.
    fn could_be_continued(&self) -> bool {
        let from_inside =
            self.table.processes.get(&self.main).is_some_and(|process| process.stopped_from_inside);
        from_inside && self.table.processes.values().any(|process| !process.stopped)
    }

    /// A signal is about to be delivered.
    fn on_signal(&mut self, tid: Tid, signal: c_int) {
        self.fork_is_over(tid);
        if signal == libc::SIGTRAP && self.socket_made(tid) {
            return self.resume(tid, 0);
        }
        let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        if stops && self.options.follow_stops {
            self.note_sender(tid);
        }
        self.resume(tid, signal);
    }

    fn note_sender(&mut self, tid: Tid) {
        let (Ok((code, sender)), Some(tgid)) = (sys::signal_sender(tid), self.tgid_of(tid)) else { return };
        let from_inside = code <= 0 && self.table.processes.contains_key(&sender);
        if let Some(process) = self.table.processes.get_mut(&tgid) {
            process.stopped_from_inside = from_inside;
        }
    }

    /// A system call that the filter stopped.
    pub(super) fn on_seccomp(&mut self, tid: Tid) {
        self.fork_is_over(tid);
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        if task.freeze && !self.closing {
            // decided at thaw, so that no charge is in flight for as long as it is frozen
            task.state = State::Held(Pending::Seccomp);
            return sys::consume(tid);
        }
        task.state = State::Running;
        let Ok(data) = sys::event_message(tid) else { return };
        match filter::decode(data) {
            Some((Class::Fork, _)) => self.on_fork_call(tid, None),
            Some((Class::Untraced, abi)) => self.on_fork_call(tid, Some(abi)),
            Some((Class::Ptrace, _)) => self.on_ptrace_call(tid),
            Some((Class::Affinity, abi)) => self.on_affinity_call(tid, abi),
            Some((Class::Socket, _)) => self.on_socket_call(tid),
            // asked for by a filter of the program's own, which without a tracer gets just that
            None => self.answer(tid, Err(Errno::ENOSYS)),
        }
    }

    /// Leaves the system call out and makes it return.
    pub(super) fn answer(&mut self, tid: Tid, result: Result<i64, Errno>) {
        if let Ok(registers) = Registers::read(tid) {
            let _ = registers.skip(tid, result.unwrap_or_else(|errno| -i64::from(errno as i32)));
        }
        self.resume(tid, 0);
    }

    fn on_ptrace_call(&mut self, tid: Tid) {
        if let Some(tgid) = self.tgid_of(tid)
            && let Some(process) = self.table.processes.get_mut(&tgid)
            && !process.ptrace_noticed
        {
            process.ptrace_noticed = true;
            self.policy.notice(Notice::PtraceRefused { tgid, comm: sys::comm(tgid) });
        }
        self.answer(tid, Err(Errno::EPERM));
    }

    /// Hides the child from no tracer: the flag is cleared now and put back in the register before parent
    /// and child run again, so that neither can tell.
    pub(super) fn clear_untraced(&mut self, tid: Tid, abi: usize) {
        let Ok(mut registers) = Registers::read(tid) else { return };
        registers.set_first_argument(abi, registers.argument(abi, 0) & !(libc::CLONE_UNTRACED as u64));
        let _ = registers.write(tid);
        if let Some(task) = self.table.tasks.get_mut(&tid) {
            task.cleared_flag = Some(abi);
        }
        self.policy.notice(Notice::UntracedCleared { task: tid });
    }

    pub(super) fn restore_flag(&mut self, tid: Tid) {
        let Some(abi) = self.table.tasks.get_mut(&tid).and_then(|task| task.cleared_flag.take()) else {
            return;
        };
        let Ok(mut registers) = Registers::read(tid) else { return };
        registers.set_first_argument(abi, registers.argument(abi, 0) | libc::CLONE_UNTRACED as u64);
        let _ = registers.write(tid);
    }

    /// Exec stops are wanted only in processes of several threads: there the ids of threads change.
    fn trace_exec(&mut self, tid: Tid, wanted: bool) {
        let options = self.ptrace_options();
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        if task.traces_exec == wanted {
            return;
        }
        let options = if wanted { options | libc::PTRACE_O_TRACEEXEC } else { options };
        if sys::set_options(tid, options).is_ok() {
            task.traces_exec = wanted;
        }
    }

    /// A thread has executed a new program. All other threads are gone; if it was not the leader, it has
    /// taken over the leader's id, and the leader vanished without a report.
    fn on_exec(&mut self, tgid: Tid) {
        self.fork_is_over(tgid);
        let former = sys::event_message(tgid).map_or(tgid, |message| message as Tid);
        if former != tgid
            && let Some(mut survivor) = self.table.tasks.remove(&former)
        {
            self.fork_is_over(former);
            self.policy.exited(tgid, false);
            self.policy.renamed(former, tgid);
            survivor.tgid = tgid;
            // a leader that was frozen takes its place in the group's freeze with it
            survivor.state = State::Running;
            self.table.tasks.insert(tgid, survivor);
            if let Some(process) = self.table.processes.get_mut(&tgid) {
                process.threads -= 1;
            }
        }
        self.trace_exec(tgid, false);
        self.resume(tgid, 0);
    }

    /// A task is dead; its zombie is still there.
    pub(super) fn on_death(&mut self, report: Report) {
        let tid = report.tid;
        let Some(task) = self.table.tasks.get(&tid) else { return self.on_early_death(tid) };
        let tgid = task.tgid;
        if report.code == libc::CLD_KILLED && report.status == libc::SIGKILL || task.in_flight {
            self.killed.truncate(REMEMBERED - 1);
            self.killed.push_front(tid);
        }
        self.fork_is_over(tid);
        self.deferred.retain(|(waiting, _)| *waiting != tid);
        self.charge_dead(tgid, tid);
        self.policy.exited(tid, tid == tgid);
        self.table.remove(tid);
        sys::reap(tid);
        if tid == self.main && self.status.is_none() {
            self.main_died(report.raw_status());
        }
    }

    /// Killed before its first stop. What its parent's report will need is read while it is there.
    fn on_early_death(&mut self, tid: Tid) {
        let field = |name| sys::status_field(tid, name).and_then(|value| value.parse().ok());
        let died = Early::Died { tgid: field("Tgid").unwrap_or(tid), parent: field("PPid").unwrap_or(0) };
        self.early.insert(tid, died);
        sys::reap(tid);
    }

    /// Tells of the death of a child that was reaped before it was announced.
    fn bury(&mut self, tid: Tid) {
        let last = self.tgid_of(tid) == Some(tid);
        self.policy.exited(tid, last);
        self.table.remove(tid);
    }

    /// Takes in children whose parent was killed between making them and reporting them.
    ///
    /// Called when nothing else is there to be dealt with. A child whose parent lives waits for its report,
    /// which is on its way. One whose parent is not in the job has been handed to us or to a reaper inside.
    pub(super) fn resolve_early(&mut self) {
        let mut orphans = Vec::new();
        for (tid, early) in &self.early {
            let (tgid, parent) = match early {
                Early::Died { tgid, parent } => (*tgid, *parent),
                Early::Stopped(_) => {
                    let field = |name| sys::status_field(*tid, name).and_then(|value| value.parse().ok());
                    (field("Tgid").unwrap_or(*tid), field("PPid").unwrap_or(0))
                }
            };
            let creator = if tgid == *tid { parent } else { tgid };
            if !self.table.processes.contains_key(&creator) {
                orphans.push((*tid, tgid));
            }
        }
        for (tid, tgid) in orphans {
            self.adopt(tid, tgid);
        }
    }

    /// After the last task: children of which only the reaped zombie was ever seen.
    pub(super) fn bury_early(&mut self) {
        let left: Vec<Tid> = self.early.keys().copied().collect();
        for tid in left {
            self.adopt(tid, tid);
        }
    }

    fn adopt(&mut self, child: Tid, tgid: Tid) {
        let Some(early) = self.early.remove(&child) else { return };
        let parent = self.killed.front().copied().unwrap_or(self.main);
        self.table.insert(child, Task::new(tgid), 0);
        self.policy.forked(Fork { parent, child, tgid, charged: false, parent_died: true });
        match early {
            Early::Stopped(signal) => self.first_stop(child, signal),
            Early::Died { .. } => self.bury(child),
        }
    }
}
