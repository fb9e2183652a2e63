//! A command of ours that another penfold supervises: started and waited for here, placed and judged there.

use nix::errno::Errno;
use nix::sys::wait::WaitPidFlag;
use penfold_core::Tid;

use crate::trace::os::StartError;
use crate::trace::os::spawn::{self, ForkedChild};
use crate::trace::os::{Command, ForwardedSignals, proc, signals, task, wait};

/// A child that has not yet executed its command: time to put it where it belongs. Dropped without
/// [`PausedChild::run`], it is gone.
///
/// It keeps session, process group, limits and open files of this process.
#[derive(Debug)]
pub struct PausedChild {
    launched: ForkedChild,
    over: bool,
}

impl PausedChild {
    /// Forks it.
    ///
    /// # Errors
    /// [`StartError::Command`], [`StartError::System`]: `EAGAIN` when a limit refuses it.
    pub fn fork(command: &Command) -> Result<PausedChild, StartError> {
        Ok(PausedChild { launched: spawn::fork(command)?, over: false })
    }

    /// Its process id, in the numbers of this process.
    pub fn pid(&self) -> Tid {
        self.launched.pid
    }

    /// Lets it execute the command and waits for its end, passing on the signals sent to this process meanwhile; when
    /// the command is stopped, so is this process. To be called on the thread that made `signals`, the only one.
    /// Returns the status as wait(2) gives it.
    ///
    /// # Errors
    /// [`StartError`] when it could not be executed, or when something else has waited for it.
    pub fn run(mut self, signals: &ForwardedSignals) -> Result<i32, StartError> {
        self.launched.go(None);
        let pid = self.pid();
        let status = signals.forward_until(
            || self.ended(),
            |signal, sender| {
                // what the command sends to its own process group has reached it
                if !is_descendant(sender, pid) {
                    let _ = task::kill(pid, signal);
                }
            },
        );
        match self.launched.failure() {
            Some(failure) => Err(failure),
            None => status,
        }
    }

    /// Its status, if it has ended. Stops with it.
    fn ended(&mut self) -> Option<Result<i32, StartError>> {
        loop {
            let mut status = 0;
            let flags = (WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED).bits();
            // SAFETY: the kernel writes one int.
            let changed = Errno::result(unsafe { libc::waitpid(self.pid().0, &raw mut status, flags) });
            match changed {
                Err(Errno::EINTR) => {}
                Ok(0) => return None,
                Ok(_) if libc::WIFSTOPPED(status) => signals::stop_self(libc::WSTOPSIG(status)),
                Ok(_) => {
                    self.over = true;
                    return Some(Ok(status));
                }
                // somebody else has waited for it
                Err(_) => {
                    self.over = true;
                    return Some(Err(StartError::StatusUnknown));
                }
            }
        }
    }
}

impl Drop for PausedChild {
    fn drop(&mut self) {
        if !self.over {
            let _ = task::kill(self.pid(), libc::SIGKILL);
            wait::reap_blocking(self.pid());
        }
    }
}

/// Whether a process is another one, or a descendant whose parents still live.
fn is_descendant(process: Tid, ancestor: Tid) -> bool {
    let parent = |pid: &Tid| proc::status_task(*pid, "PPid");
    std::iter::successors(Some(process), parent).take_while(|pid| pid.0 > 0).any(|pid| pid == ancestor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_that_something_else_reaped_has_no_status() {
        let mut child = PausedChild::fork(&Command::new(["true"])).expect("a child");
        assert!(child.ended().is_none(), "it waits for its place");
        task::kill(child.pid(), libc::SIGKILL).expect("it lives");
        wait::reap_blocking(child.pid());
        assert!(matches!(child.ended(), Some(Err(StartError::StatusUnknown))), "and 0 would be a success");
    }
}
