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
