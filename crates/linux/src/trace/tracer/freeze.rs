//! Freezing: a frozen task stays in a ptrace stop, which only its tracer can see or end.
//!
//! Its parent's waitpid(WUNTRACED) reports nothing, `SIGCONT` does not wake it, `SIGKILL` still kills it. It begins
//! with [`TaskTable::freeze`](super::table::TaskTable::freeze).

use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::Supervisor;
use super::table::PendingResume;

impl<P: Policy> Supervisor<P> {
    /// Continues a thawed task, unless it was frozen again.
    pub(crate) fn resume_thawed(&mut self, tid: Tid, policy: &mut P) {
        match self.tasks.take_held(tid) {
            Some(PendingResume::Continue(signal)) => self.resume(tid, signal, policy),
            Some(PendingResume::Seccomp) => self.on_seccomp(tid, policy),
            None => {}
        }
    }
}
