//! Freezing: a frozen task is left in a ptrace stop, which nobody but its tracer can see or end.
//!
//! Its parent's waitpid(WUNTRACED) reports nothing, `SIGCONT` does not wake it, `SIGKILL` still kills it. How it begins
//! is [`TaskTable::freeze`](super::table::TaskTable::freeze).

use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::Supervisor;
use super::table::PendingResume;

impl<P: Policy> Supervisor<P> {
    /// Lets a task go on that was thawed, unless it was frozen again.
    pub(crate) fn resume_thawed(&mut self, tid: Tid, policy: &mut P) {
        match self.tasks.take_held(tid) {
            Some(PendingResume::Continue(signal)) => self.resume(tid, signal, policy),
            Some(PendingResume::Seccomp) => self.on_seccomp(tid, policy),
            None => {}
        }
    }
}
