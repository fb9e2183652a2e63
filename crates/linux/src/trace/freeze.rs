//! Freezing: a frozen task is left in a ptrace stop, which nobody but its tracer can see or end.
//!
//! Its parent's waitpid(WUNTRACED) reports nothing, `SIGCONT` does not wake it, `SIGKILL` still kills it.

use super::supervise::Supervisor;
use super::table::{Pending, State};
use super::{Policy, Tid, sys};

impl<P: Policy> Supervisor<P> {
    /// Begins to freeze a task: it stops within microseconds if it runs, and on its way out of the kernel
    /// otherwise. See [`Supervisor::is_frozen`].
    pub fn freeze(&mut self, tid: Tid) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        if std::mem::replace(&mut task.freeze, true) {
            return;
        }
        match task.state {
            // a deferred fork stops again when it is decided
            State::Running | State::Deferred => drop(sys::interrupt(tid)),
            // held at its first stop, or at the end of its group stop
            State::New | State::Listening | State::Held(_) => {}
        }
    }

    /// Lets a frozen task go on where it was: with the signal that was on its way to it, or in its group
    /// stop.
    pub fn thaw(&mut self, tid: Tid) {
        let Some(task) = self.table.tasks.get_mut(&tid) else { return };
        task.freeze = false;
        let State::Held(pending) = task.state else { return };
        task.state = State::Running;
        match pending {
            Pending::Continue(signal) => self.resume(tid, signal),
            Pending::Seccomp => self.on_seccomp(tid),
        }
    }

    /// Whether a task was asked to freeze and cannot run any code of its program until it is thawed.
    ///
    /// A task in an uninterruptible wait, such as for its vfork child, counts: it stops on its way out.
    pub fn is_frozen(&self, tid: Tid) -> bool {
        let Some(task) = self.table.tasks.get(&tid) else { return false };
        task.freeze
            && match task.state {
                State::New | State::Held(_) | State::Listening | State::Deferred => true,
                State::Running => sys::stat_fields(tid).is_some_and(|fields| fields[0] == "D"),
            }
    }
}
