//! The size of terminals, for which no library that is used here has a safe call.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::pty::Winsize;

/// The size of a terminal, in characters and pixels.
///
/// # Errors
/// `ENOTTY` if the file is no terminal.
pub fn window_size(terminal: impl AsFd) -> Result<Winsize, Errno> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one winsize, which `size` is.
    Errno::result(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(size)
}

/// Sets the size of a terminal. The processes in its foreground get SIGWINCH if the size changes.
///
/// # Errors
/// `ENOTTY` if the file is no terminal.
pub fn set_window_size(terminal: impl AsFd, size: &Winsize) -> Result<(), Errno> {
    // SAFETY: the kernel reads one winsize, which `size` is.
    Errno::result(unsafe {
        libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size))
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_has_the_size_that_was_set() {
        let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
        let size = Winsize { ws_row: 7, ws_col: 33, ws_xpixel: 1, ws_ypixel: 2 };
        set_window_size(&pty.master, &size).unwrap();
        assert_eq!(window_size(&pty.slave).unwrap(), size);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(window_size(&file), Err(Errno::ENOTTY));
    }
}
