//! One function per kind of stop.

use libc::c_int;

use super::arch::Registers;
use super::births::Early;
use super::supervise::{Supervisor, ptrace_options};
use super::table::{Pending, State};
use super::{Policy, Tid, signals, sys};

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
        let doomed = self.closing || task.doomed;
        if task.release && !doomed {
            return self.let_go(tid, signal);
        }
        if task.freeze && !doomed {
            task.state = State::Held(Pending::Continue(signal));
            return sys::consume(tid);
        }
        task.state = State::Running;
        if doomed {
            let _ = sys::kill(tid, libc::SIGKILL);
        } else if task.wants.is_some() || task.adopting.is_some() {
            // the kernel takes this stop before it returns to the program
            let _ = sys::interrupt(tid);
        }
        // ESRCH: killed meanwhile
        let _ = sys::cont(tid, signal);
    }

    /// A new child's first stop, an interrupt, a group stop, or its end.
    fn on_event_stop(&mut self, tid: Tid, signal: c_int) {
        match self.table.tasks.get(&tid).map(|task| task.state) {
            None => {
                sys::consume(tid);
                self.early.insert(tid, Early::Stopped { signal, waited: false });
                if self.closing {
                    let _ = sys::kill(tid, libc::SIGKILL);
                }
            }
            Some(State::New) => self.first_stop(tid, signal),
            Some(_) => {
                self.fork_is_over(tid);
                if signal == libc::SIGTRAP {
                    Registers::restart_if_only_interrupted(tid);
                }
                self.complete_adoption(tid);
                if !self.put_filter(tid, signal) {
                    self.stop_or_resume(tid, signal);
                }
            }
        }
    }

    /// A group stop leaves the task to the kernel, which ends the stop at `SIGCONT`; anything else is over.
    pub(super) fn stop_or_resume(&mut self, tid: Tid, signal: c_int) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        let tgid = task.tgid;
        let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        let doomed = self.closing || task.doomed;
        if stops && task.release && !doomed {
            // detached, it goes on with the group stop as any other process
            return self.let_go(tid, 0);
        }
        if !stops || doomed {
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
        if self.follow_stops && !self.could_be_continued() {
            // returns when somebody continues us; SIGCONT for the whole job has reached the command too
            signals::stop_self(signal);
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
        if stops && self.follow_stops {
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

    /// Exec stops are wanted only in processes of several threads: there the ids of threads change.
    pub(super) fn trace_exec(&mut self, tid: Tid, wanted: bool) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        if task.traces_exec == wanted {
            return;
        }
        let options = ptrace_options(task.lineage);
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
        if former != tgid && self.table.tasks.contains_key(&former) {
            self.policy.exited(tgid, false);
            self.policy.renamed(former, tgid);
            self.deferred.retain(|(waiting, _)| *waiting != tgid && *waiting != former);
            self.paused.retain(|waiting| *waiting != tgid && *waiting != former);
            self.table.rename(former, tgid);
        }
        self.trace_exec(tgid, false);
        self.resume(tgid, 0);
    }
}
