//! System calls that the filter stopped, but for forks and affinity.

use nix::errno::Errno;

use super::arch::Registers;
use super::filter::{self, Class};
use super::supervise::Supervisor;
use super::table::{Pending, State};
use super::{Notice, Policy, Tid, sys};

impl<P: Policy> Supervisor<P> {
    /// A system call that the filter stopped.
    pub(super) fn on_seccomp(&mut self, tid: Tid) {
        self.fork_is_over(tid);
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        if task.freeze && !self.closing && !task.doomed {
            // decided at thaw, so that no charge is in flight for as long as it is frozen
            task.state = State::Held(Pending::Seccomp);
            return sys::consume(tid);
        }
        task.state = State::Running;
        let ours = task.lineage.filter.is_some();
        let Ok(data) = sys::event_message(tid) else { return };
        match filter::decode(data).filter(|_| ours) {
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
            let process = self.table.processes.get_mut(&task.tgid);
            if process.is_some_and(|process| !std::mem::replace(&mut process.untraced_noticed, true)) {
                self.policy.notice(Notice::UntracedCleared { task: tid });
            }
        }
    }

    pub(super) fn restore_flag(&mut self, tid: Tid) {
        let Some(abi) = self.table.tasks.get_mut(&tid).and_then(|task| task.cleared_flag.take()) else {
            return;
        };
        let Ok(mut registers) = Registers::read(tid) else { return };
        registers.set_first_argument(abi, registers.argument(abi, 0) | libc::CLONE_UNTRACED as u64);
        let _ = registers.write(tid);
    }
}
