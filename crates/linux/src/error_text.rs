//! The words for an errno.

use nix::errno::Errno;

/// The words of strerror(3) for an errno, which users know. nix has other words for some of them.
pub fn error_text(errno: Errno) -> &'static str {
    penfold_core::Errno::from_number(errno as i32).map_or(errno.desc(), penfold_core::Errno::text)
}
