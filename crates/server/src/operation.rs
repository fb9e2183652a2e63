//! What a client wants written into a control file, with every task number resolved.
//!
//! A front end makes an [`Operation`] from a write, in its client's pid namespace. From there on nothing parses the bytes
//! of an attach again, and the check of reach judges the operation.

use penfold_core::{
    Tid,
    control_file::{FileId, PAGE_SIZE},
    internal::task_number,
};

use crate::failure::Failure;

/// A change of one cgroup by one of its control files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Moves a task; with `whole`, every thread of its process.
    Attach {
        /// In the daemon's pid namespace.
        task: Tid,
        /// A write to `cgroup.procs`; otherwise to `tasks`.
        whole: bool,
    },
    /// Names the program that runs when a cgroup of the hierarchy becomes empty.
    ReleaseAgent {
        /// As written.
        bytes: &'a [u8],
    },
    /// Writes any other file. Also a write to `tasks` or `cgroup.procs` whose bytes name no task: the engine reports the
    /// right errno for that.
    Write {
        /// The control file.
        file: FileId,
        /// As written.
        bytes: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// The operation of a write. `resolve` finds the task that a number, 0 or above, means to the writer.
    ///
    /// # Errors
    /// Those of `resolve`.
    pub fn of_write(
        file: FileId,
        bytes: &'a [u8],
        resolve: impl FnOnce(i32) -> Result<Tid, Failure>,
    ) -> Result<Operation<'a>, Failure> {
        match file {
            FileId::Tasks | FileId::Procs if bytes.len() <= PAGE_SIZE => match task_number(bytes) {
                Ok(number) => Ok(Operation::Attach { task: resolve(number)?, whole: file == FileId::Procs }),
                Err(_) => Ok(Operation::Write { file, bytes }),
            },
            FileId::ReleaseAgent => Ok(Operation::ReleaseAgent { bytes }),
            _ => Ok(Operation::Write { file, bytes }),
        }
    }

    /// The file that it is written into.
    pub(crate) fn file(&self) -> FileId {
        match *self {
            Operation::Attach { whole: true, .. } => FileId::Procs,
            Operation::Attach { whole: false, .. } => FileId::Tasks,
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

    /// To this writer 7 is task 1007, and there is no other number.
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
        let attach = |task, whole| Ok(Operation::Attach { task: Tid(task), whole });
        assert_eq!(of(FileId::Procs, b"7\n"), attach(1007, true));
        assert_eq!(of(FileId::Tasks, b" 0x7 \xa0"), attach(1007, false));
        assert_eq!(of(FileId::Tasks, b"0"), attach(1, false));
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
