//! The handling of stops: one function for each kind.

use libc::c_int;
use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::{Supervisor, ptrace_options};
use super::table::{PendingResume, TaskState};
use super::unreported::UnreportedChild;
use crate::trace::os::arch::Registers;
use crate::trace::os::{ptrace, signals, task, wait};

impl<P: Policy> Supervisor<P> {
    pub(crate) fn on_stop(&mut self, tid: Tid, signal: c_int, event: c_int, policy: &mut P) {
        let Some(task) = self.tasks.get(tid) else {
            if event == ptrace::EVENT_STOP {
                return self.on_unreported_stop(tid, signal);
            }
            let former = ptrace::event_message(tid).map(|message| Tid(message as i32));
            if event == libc::PTRACE_EVENT_EXEC && former.is_ok_and(|former| self.tasks.contains(former)) {
                // a thread of a process whose leader had ended before the adoption
                return self.on_exec(tid, policy);
            }
            // an unknown task can only be at its first stop; other stops never belonged to this tracer
            let _ = ptrace::cont(tid, signal);
            return;
        };
        if task.injection.is_some() && self.on_injection_stop(tid, signal, event, policy) {
            return;
        }
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                self.on_fork(tid, policy);
            }
            ptrace::EVENT_STOP => self.on_event_stop(tid, signal, policy),
            libc::PTRACE_EVENT_SECCOMP => self.on_seccomp(tid, policy),
            libc::PTRACE_EVENT_EXEC => self.on_exec(tid, policy),
            _ => self.on_signal(tid, signal, policy),
        }
    }

    /// Continues a stopped task, unless it is frozen.
    pub(crate) fn resume(&mut self, tid: Tid, signal: c_int, policy: &mut P) {
        let Some(task) = self.tasks.get_mut(tid) else { return };
        let killed = self.closing || task.killed;
        if task.detach && !killed {
            return self.detach(tid, signal, policy);
        }
        if task.freeze && !killed {
            task.state = TaskState::Held(PendingResume::Continue(signal));
            return wait::consume(tid);
        }
        task.state = TaskState::Running;
        if killed {
            let _ = task::kill(tid, libc::SIGKILL);
        } else if task.wants.is_some() || task.adopting.is_some() {
            // the kernel makes this stop before it returns to the program
            let _ = ptrace::interrupt(tid);
        }
        // ESRCH: killed meanwhile
        let _ = ptrace::cont(tid, signal);
    }

    /// Deals with the first stop of a child that no parent has reported.
    fn on_unreported_stop(&mut self, tid: Tid, signal: c_int) {
        wait::consume(tid);
        self.unreported.insert(tid, UnreportedChild::Stopped { signal, waits_since: None });
        if self.closing {
            let _ = task::kill(tid, libc::SIGKILL);
        }
    }

    /// Deals with a `PTRACE_EVENT_STOP`: a new child's first stop, an interrupt, a group stop, or its end.
    fn on_event_stop(&mut self, tid: Tid, signal: c_int, policy: &mut P) {
        let Some(task) = self.tasks.get(tid) else { return };
        if task.state == TaskState::New {
            return self.first_stop(tid, signal, policy);
        }
        self.fork_is_over(tid, policy);
        if signal == libc::SIGTRAP {
            Registers::restart_if_only_interrupted(tid);
        }
        self.complete_adoption(tid, policy);
        if !self.put_filter(tid, signal, policy) {
            self.stop_or_resume(tid, signal, policy);
        }
    }

    /// Leaves a task in a group stop to the kernel, which ends it at `SIGCONT`. After any other stop the task goes on.
    pub(crate) fn stop_or_resume(&mut self, tid: Tid, signal: c_int, policy: &mut P) {
        let Some(task) = self.tasks.get_mut(tid) else { return };
        let tgid = task.tgid;
        let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        let killed = self.closing || task.killed;
        if stops && task.detach && !killed {
            // detached, the task stays in the group stop as any other process
            return self.detach(tid, 0, policy);
        }
        if !stops || killed {
            if let Some(process) = self.tasks.processes.get_mut(&tgid) {
                process.stopped = false;
            }
            return self.resume(tid, 0, policy);
        }
        task.state = TaskState::Listening;
        let _ = ptrace::listen(tid);
        let Some(process) = self.tasks.processes.get_mut(&tgid) else { return };
        let first = !std::mem::replace(&mut process.stopped, true);
        if !first || tgid != self.main {
            return;
        }
        self.main_stops += 1;
        if self.follow_stops && !self.could_be_continued() {
            // returns after a SIGCONT to this process; a SIGCONT for the whole job has reached the command too
            signals::stop_self(signal);
        }
    }

    /// Whether the job itself can end the stop of its main command. That is so if a process of the job sent the signal
    /// and another one is running that may send `SIGCONT`. It could not if this process stopped, and everything with
    /// it.
    fn could_be_continued(&self) -> bool {
        let processes = &self.tasks.processes;
        let from_inside = processes.get(&self.main).is_some_and(|process| process.stopped_from_inside);
        from_inside && processes.values().any(|process| !process.stopped)
    }

    /// Deals with a signal that is about to be delivered.
    fn on_signal(&mut self, tid: Tid, signal: c_int, policy: &mut P) {
        self.fork_is_over(tid, policy);
        if signal == libc::SIGTRAP && (self.socket_made(tid, policy) || self.affinity_set(tid, policy)) {
            return self.resume(tid, 0, policy);
        }
        let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        if stops && self.follow_stops {
            self.note_sender(tid);
        }
        self.resume(tid, signal, policy);
    }

    fn note_sender(&mut self, tid: Tid) {
        let (Ok((code, sender)), Some(tgid)) = (ptrace::signal_sender(tid), self.tasks.tgid_of(tid)) else {
            return;
        };
        let processes = &mut self.tasks.processes;
        let from_inside = code <= 0 && processes.contains_key(&sender);
        if let Some(process) = processes.get_mut(&tgid) {
            process.stopped_from_inside = from_inside;
        }
    }

    /// Turns the stop at exec on or off. Only processes with several threads need it: there exec changes thread ids.
    pub(crate) fn trace_exec(&mut self, tid: Tid, wanted: bool) {
        let Some(task) = self.tasks.get_mut(tid) else { return };
        if task.traces_exec == wanted {
            return;
        }
        let options = ptrace_options(task.lineage);
        let options = if wanted { options | libc::PTRACE_O_TRACEEXEC } else { options };
        if ptrace::set_options(tid, options).is_ok() {
            task.traces_exec = wanted;
        }
    }

    /// Deals with an exec. All other threads of the process are gone. If the thread was not the leader, it has taken
    /// over the leader's id, and the leader vanished without a report.
    fn on_exec(&mut self, tgid: Tid, policy: &mut P) {
        self.fork_is_over(tgid, policy);
        let former = ptrace::event_message(tgid).map_or(tgid, |message| Tid(message as i32));
        if former != tgid && self.tasks.contains(former) {
            // a fork that was in flight under the former number is over too
            self.fork_is_over(former, policy);
            self.abandon_injection(tgid, policy);
            if self.tasks.contains(tgid) {
                policy.exited(&mut self.tasks, tgid, false);
            }
            self.forget_waiting(tgid);
            self.forget_waiting(former);
            self.tasks.rename(former, tgid);
            policy.renamed(&mut self.tasks, former, tgid);
        }
        self.drop_workers(tgid, policy);
        self.trace_exec(tgid, false);
        self.resume(tgid, 0, policy);
    }
}
