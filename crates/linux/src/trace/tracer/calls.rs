//! System calls that the filter stopped, except forks and affinity.

use nix::errno::Errno;
use penfold_core::Tid;

use super::policy::{Notice, Policy};
use super::supervisor::Supervisor;
use super::table::{PendingResume, TaskState};
use crate::proc::command_name;
use crate::trace::os::arch::Registers;
use crate::trace::os::filter::{self, CallClass};
use crate::trace::os::stopped_call::StoppedCall;
use crate::trace::os::wait;

impl<P: Policy> Supervisor<P> {
    /// Deals with a system call that a filter stopped.
    pub(crate) fn on_seccomp(&mut self, tid: Tid, policy: &mut P) {
        self.fork_is_over(tid, policy);
        let Some(task) = self.tasks.get_mut(tid) else { return };
        if task.freeze && !self.closing && !task.killed {
            // decided at thaw, so that no charge is in flight as long as the task is frozen
            task.state = TaskState::Held(PendingResume::Seccomp);
            return wait::consume(tid);
        }
        task.state = TaskState::Running;
        let ours = task.lineage.filter.is_some();
        // ESRCH: killed meanwhile
        let Ok(call) = StoppedCall::read(tid) else { return };
        match filter::classify(&call).filter(|_| ours) {
            Some((CallClass::Fork, _)) => self.on_fork_call(tid, None, policy),
            Some((CallClass::Untraced, abi)) => self.on_fork_call(tid, Some(abi), policy),
            Some((CallClass::Ptrace, _)) => self.on_ptrace_call(tid, policy),
            Some((CallClass::Affinity, abi)) => self.on_affinity_call(tid, abi, policy),
            Some((CallClass::Socket, _)) => self.on_socket_call(tid, policy),
            // a filter of the program itself asked for the stop; without a tracer the call fails with ENOSYS
            None => self.answer(tid, Err(Errno::ENOSYS), policy),
        }
    }

    /// Skips the system call and makes it return.
    pub(crate) fn answer(&mut self, tid: Tid, result: Result<i64, Errno>, policy: &mut P) {
        if let Ok(registers) = Registers::read(tid) {
            let _ = registers.skip(tid, result.unwrap_or_else(|errno| -i64::from(errno as i32)));
        }
        self.resume(tid, 0, policy);
    }

    fn on_ptrace_call(&mut self, tid: Tid, policy: &mut P) {
        if let Some(tgid) = self.tasks.tgid_of(tid)
            && let Some(process) = self.tasks.processes.get_mut(&tgid)
            && !std::mem::replace(&mut process.ptrace_noticed, true)
        {
            policy.notice(Notice::PtraceRefused { tgid, comm: command_name(tgid) });
        }
        self.answer(tid, Err(Errno::EPERM), policy);
    }

    /// Clears `CLONE_UNTRACED` in the argument register, so that the child is attached. The flag is restored before
    /// parent and child run again, so neither can notice.
    pub(crate) fn clear_untraced(&mut self, tid: Tid, abi: usize, policy: &mut P) {
        let Ok(mut registers) = Registers::read(tid) else { return };
        registers.set_first_argument(abi, registers.argument(abi, 0) & !(libc::CLONE_UNTRACED as u64));
        let _ = registers.write(tid);
        if let Some(task) = self.tasks.entries.get_mut(&tid) {
            task.cleared_flag = Some(abi);
            let process = self.tasks.processes.get_mut(&task.tgid);
            if process.is_some_and(|process| !std::mem::replace(&mut process.untraced_noticed, true)) {
                policy.notice(Notice::UntracedCleared { task: tid });
            }
        }
    }

    pub(crate) fn restore_flag(&mut self, tid: Tid) {
        let Some(abi) = self.tasks.get_mut(tid).and_then(|task| task.cleared_flag.take()) else {
            return;
        };
        let Ok(mut registers) = Registers::read(tid) else { return };
        registers.set_first_argument(abi, registers.argument(abi, 0) | libc::CLONE_UNTRACED as u64);
        let _ = registers.write(tid);
    }
}
