//! A safe copy of a file descriptor that a caller names by number.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// Duplicates an open descriptor, close-on-exec; it shares position and flags with the original.
///
/// # Errors
/// `EBADF` if no file is open there.
pub fn duplicate(number: RawFd) -> io::Result<File> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed only for the call, which answers EBADF itself where nothing is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned().map(File::from)
}
