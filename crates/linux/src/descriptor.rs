//! Descriptors by number: one that a caller names, and all that an exec must not pass on.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Duplicates an open descriptor. The copy shares position and flags with the original.
///
/// The copy is close-on-exec, so that a command that is started later does not hold the file open. The original becomes
/// so too, unless it is standard input, output or error.
///
/// # Errors
/// `EBADF` if no file is open under this number.
pub fn take_over(number: RawFd) -> io::Result<File> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed for these two calls, which answer EBADF themselves where no file is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let file = borrowed.try_clone_to_owned().map(File::from)?;
    if number > libc::STDERR_FILENO {
        fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(file)
}

/// Makes every descriptor but standard input, output and error close-on-exec.
///
/// Allocates nothing, so it can run between fork and exec.
pub fn close_all_on_exec() {
    let (first, last) = (libc::STDERR_FILENO + 1, libc::c_uint::MAX);
    // SAFETY: takes numbers.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC as libc::c_int)
    };
    if done == 0 {
        return;
    }
    // a kernel before 5.11; a program whose limit was never raised has no descriptor above this
    for number in first..65_536 {
        // SAFETY: takes numbers, and answers EBADF where no file is open.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
