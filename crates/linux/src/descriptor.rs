//! A file descriptor that a caller names by number, taken over.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Duplicates an open descriptor; it shares position and flags with the original.
///
/// Both become close-on-exec, so that a command started later does not hold the file open, but for standard input,
/// output and error, which are the command's as well.
///
/// # Errors
/// `EBADF` if no file is open there.
pub fn take_over(number: RawFd) -> io::Result<File> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed only for the calls, which answer EBADF themselves where nothing is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let file = borrowed.try_clone_to_owned().map(File::from)?;
    if number > libc::STDERR_FILENO {
        fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(file)
}

/// No descriptor but standard input, output and error outlives the next execve(2). Allocates nothing: for the time between
/// fork and exec.
pub fn close_all_on_exec() {
    let (first, last) = (libc::STDERR_FILENO + 1, libc::c_uint::MAX);
    // SAFETY: takes numbers.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC as libc::c_int)
    };
    if done == 0 {
        return;
    }
    // a kernel before 5.11; what lies above this was never opened by a program that keeps its limits low
    for number in first..65_536 {
        // SAFETY: takes numbers; EBADF where nothing is open.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
