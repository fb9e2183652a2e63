//! A write to a control file, with its task number resolved.
//!
//! A front end makes an [`Operation`] from the bytes of a write, in its client's pid namespace. No later step parses
//! the bytes of an attach again, and `confinement.rs` judges the operation instead of bytes.

use penfold_core::{
    MoveScope, Tid,
    control_file::{FileId, PAGE_SIZE},
    internal::task_number,
};

use crate::failure::Failure;

/// A change of a cgroup by a write to one of its control files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Moves a task, or every thread of its process.
    Attach {
        /// The task's number in the daemon's pid namespace.
        task: Tid,
        /// The whole process (a write to `cgroup.procs`) or one thread (`tasks`).
        scope: MoveScope,
    },
    /// Sets the program that runs when a cgroup of the hierarchy becomes empty.
    ReleaseAgent {
        /// The bytes of the write.
        bytes: &'a [u8],
    },
    /// Writes any other file. Also a write to `tasks` or `cgroup.procs` whose bytes name no task: the engine reports
    /// the right errno for that.
    Write {
        /// The control file.
        file: FileId,
        /// The bytes of the write.
        bytes: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// The operation of a write. `resolve` returns the task that a number, 0 or above, means to the writer.
    ///
    /// # Errors
    /// The errors of `resolve`.
    pub fn of_write(
        file: FileId,
        bytes: &'a [u8],
        resolve: impl FnOnce(i32) -> Result<Tid, Failure>,
    ) -> Result<Operation<'a>, Failure> {
        match file {
            FileId::Tasks | FileId::Procs if bytes.len() <= PAGE_SIZE => match task_number(bytes) {
                Ok(number) => Ok(Operation::Attach {
                    task: resolve(number)?,
                    scope: file.move_scope().unwrap_or(MoveScope::Task),
                }),
                Err(_) => Ok(Operation::Write { file, bytes }),
            },
            FileId::ReleaseAgent => Ok(Operation::ReleaseAgent { bytes }),
            _ => Ok(Operation::Write { file, bytes }),
        }
    }

    /// The file that the operation writes.
    pub(crate) fn file(&self) -> FileId {
        match *self {
            Operation::Attach { scope, .. } => scope.file(),
            Operation::ReleaseAgent { .. } => FileId::ReleaseAgent,
            Operation::Write { file, .. } => file,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use penfold_core::ErrorKind;

    use super::*;

    /// The operation of a writer for which 7 is task 1007, and which knows no other number.
    fn of(file: FileId, bytes: &[u8]) -> Result<Operation<'_>, Errno> {
        let resolve = |number| match number {
            0 => Ok(Tid(1)),
            7 => Ok(Tid(1007)),
            other => {
                Err(Failure::new(ErrorKind::NoTask, Errno::ESRCH, format!("task {other}"), "no such process"))
            }
        };
        Operation::of_write(file, bytes, resolve).map_err(|failure| failure.errno)
    }

    #[test]
    fn number_is_resolved_once() {
        let attach = |task, scope| Ok(Operation::Attach { task: Tid(task), scope });
        assert_eq!(of(FileId::Procs, b"7\n"), attach(1007, MoveScope::ThreadGroup));
        assert_eq!(of(FileId::Tasks, b" 0x7 \xa0"), attach(1007, MoveScope::Task));
        assert_eq!(of(FileId::Tasks, b"0"), attach(1, MoveScope::Task));
        assert_eq!(of(FileId::Procs, b"8"), Err(Errno::ESRCH));
    }

    #[test]
    fn bytes_that_name_no_task_are_left_to_the_engine() {
        let long = [b' '; PAGE_SIZE + 1];
        for bytes in [&b""[..], b"x", b"-7", b"7 7", b"99999999999", &long] {
            assert_eq!(of(FileId::Tasks, bytes), Ok(Operation::Write { file: FileId::Tasks, bytes }));
        }
    }

    #[test]
    fn other_files_take_a_number_as_bytes() {
        let (file, bytes) = (FileId::NotifyOnRelease, &b"7"[..]);
        assert_eq!(of(file, bytes), Ok(Operation::Write { file, bytes }));
        assert_eq!(of(FileId::ReleaseAgent, bytes), Ok(Operation::ReleaseAgent { bytes }));
    }
}
