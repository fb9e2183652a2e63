//! A command that this process starts and waits for, while another penfold supervises it and judges it by its rules.

use libc::c_int;
use nix::errno::Errno;
use nix::sys::wait::WaitPidFlag;
use penfold_core::Tid;

use crate::proc::StatusFile;
use crate::trace::os::spawn::{self, ForkedChild};
use crate::trace::os::{Command, ForwardedSignals, StartError, signals, task, wait};

/// A child that has not yet executed its command, so that it can be put into its cgroups first. Dropped without
/// [`PausedChild::run`], it is killed.
///
/// It keeps session, process group, limits and open files of this process.
#[derive(Debug)]
pub struct PausedChild {
    launched: ForkedChild,
    over: bool,
}

impl PausedChild {
    /// Forks the child.
    ///
    /// # Errors
    /// [`StartError::Command`], [`StartError::System`]: `EAGAIN` when a limit refuses it.
    pub fn fork(command: &Command) -> Result<PausedChild, StartError> {
        Ok(PausedChild { launched: spawn::fork(command)?, over: false })
    }

    /// The child's process id, in the numbers of this process.
    pub fn pid(&self) -> Tid {
        self.launched.pid
    }

    /// Lets the child execute the command and waits for its end. Returns the status as wait(2) gives it.
    ///
    /// Signals to this process are forwarded meanwhile, and `noticed` is called for each. When the command is stopped, this process stops too. To be
    /// called on the only thread, which made `signals`.
    ///
    /// # Errors
    /// [`StartError`] when the command could not be executed, or when another waiter has taken its status.
    pub fn run(mut self, signals: &ForwardedSignals, noticed: impl FnMut(c_int)) -> Result<i32, StartError> {
        self.launched.go(None);
        let pid = self.pid();
        let status = signals.forward_until(
            || self.ended(),
            |signal, sender| {
                // a signal that the command sends to its own process group has reached it
                if !is_descendant(sender, pid) {
                    let _ = task::kill(pid, signal);
                }
            },
            noticed,
        );
        match self.launched.failure() {
            Some(failure) => Err(failure),
            None => status,
        }
    }

    /// The child's status, if it has ended, or an error if another waiter has taken it. Stops this process with the
    /// child.
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
                // another waiter has taken the status
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

/// Whether `process` is `ancestor`, or a descendant of it whose parents still live.
fn is_descendant(process: Tid, ancestor: Tid) -> bool {
    let parent = |pid: &Tid| StatusFile::read(*pid)?.parent();
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
