//! The links of a process: `root`, `cwd`, `exe` and `fd`; and its directory itself.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use penfold_core::Tid;

/// User and group of a task's directory: its effective ids, or root's for a task that does not permit core dumps.
pub fn owner_of(task: Tid) -> Option<(u32, u32)> {
    fs::metadata(format!("/proc/{task}")).ok().map(|directory| (directory.uid(), directory.gid()))
}

/// Device and inode of a task's root directory, equal for tasks with the same one. `None` also where this process may
/// not look at the task (`PTRACE_MODE_READ`).
pub fn root_of(task: Tid) -> Option<(u64, u64)> {
    fs::metadata(format!("/proc/{task}/root/")).ok().map(|root| (root.dev(), root.ino()))
}

/// A task's working directory, held open as `O_PATH`, also where no path of this process leads to it.
///
/// # Errors
/// `ENOENT` or `ESRCH` when the task is gone, `EACCES` where this process may not look at it.
pub fn open_working_directory(task: Tid) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(format!("/proc/{task}/cwd").as_str(), flags, Mode::empty())
}

/// A path that leads to an open file of this process. It is also valid in a child between fork and exec, which has the
/// file open under the same number.
pub fn descriptor_path(file: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// The descriptors of a task that are sockets, found one by one. Each can be closed, or be another file, when it is
/// used.
///
/// # Errors
/// `ESRCH` when the task is gone or this process may not look at it.
pub(crate) fn sockets_of(task: Tid) -> Result<impl Iterator<Item = RawFd>, Errno> {
    let directory = format!("/proc/{task}/fd");
    let numbers = super::numbers(&directory).map_err(|_| Errno::ESRCH)?;
    Ok(numbers.filter(move |number| {
        let target = fs::read_link(format!("{directory}/{number}"));
        target.is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    }))
}

/// Reads the first bytes of the program that a task runs.
///
/// # Errors
/// `ENOENT` when the task has no program any more or never had one, what open(2) gives; `UnexpectedEof` for a program
/// that is shorter.
pub(crate) fn read_program_start(task: Tid, start: &mut [u8]) -> io::Result<()> {
    File::open(format!("/proc/{task}/exe"))?.read_exact(start)
}

/// How many descriptors this process has open; 0 where that can't be read.
pub(crate) fn open_descriptors() -> usize {
    // the listing has a descriptor of its own
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::super::own;
    use super::*;

    #[test]
    fn sockets_are_told_from_other_files() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let file = File::open("/dev/null").expect("a file");
        let sockets: Vec<RawFd> = sockets_of(own()).expect("we live").collect();
        assert!(sockets.contains(&one.as_raw_fd()) && sockets.contains(&other.as_raw_fd()));
        assert!(!sockets.contains(&file.as_raw_fd()));
        assert_eq!(sockets_of(Tid(i32::MAX)).map(Iterator::count), Err(Errno::ESRCH));
    }

    #[test]
    fn directories_of_this_process_are_its_own() {
        let directory = File::from(open_working_directory(own()).expect("we live"));
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        assert!(same(&directory.metadata().unwrap(), &fs::metadata(".").unwrap()));
        assert!(same(
            &fs::metadata(descriptor_path(directory.as_fd())).unwrap(),
            &fs::metadata(".").unwrap()
        ));
        let root = fs::metadata("/").expect("a root");
        assert_eq!(root_of(own()), Some((root.dev(), root.ino())));
        assert_eq!(owner_of(own()).map(|(uid, _)| uid), Some(nix::unistd::geteuid().as_raw()));
        assert_eq!((root_of(Tid(i32::MAX)), owner_of(Tid(i32::MAX))), (None, None));
        assert_eq!(open_working_directory(Tid(i32::MAX)).err(), Some(Errno::ENOENT));
    }

    #[test]
    fn program_starts_with_its_elf_header() {
        let mut start = [0; 4];
        read_program_start(own(), &mut start).expect("we run one");
        assert_eq!(&start, b"\x7fELF");
        let gone = read_program_start(Tid(i32::MAX), &mut start).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
