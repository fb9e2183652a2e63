//! socket(2): a task with a class stops again when the call returns, so no packet leaves unmarked.

use std::os::fd::RawFd;

use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::Supervisor;
use crate::trace::os::arch::Registers;
use crate::trace::os::ptrace;

impl<P: Policy> Supervisor<P> {
    /// Deals with a call of socket(2): a task with a class stops again when it returns.
    pub(crate) fn on_socket_call(&mut self, tid: Tid, policy: &mut P) {
        let class = policy.socket_class(&self.tasks, tid);
        let Some(task) = self.tasks.get_mut(tid) else { return };
        if self.closing || task.killed || task.detach || class == 0 {
            return self.resume(tid, 0, policy);
        }
        task.in_socket = true;
        // ESRCH: killed meanwhile
        let _ = ptrace::cont_to_call(tid, 0);
    }

    /// Deals with the stop at the end of socket(2). False for another stop.
    pub(crate) fn socket_made(&mut self, tid: Tid, policy: &mut P) -> bool {
        let Some(task) = self.tasks.get_mut(tid) else { return false };
        if !std::mem::take(&mut task.in_socket) {
            return false;
        }
        if let Ok(descriptor) = Registers::read(tid).map(|registers| registers.result())
            && descriptor >= 0
        {
            policy.socket_made(&self.tasks, tid, descriptor as RawFd);
        }
        true
    }
}
