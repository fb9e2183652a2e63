//! The words for an errno.

use nix::errno::Errno;

/// What strerror(3) says of an errno. Another library's words for some of them are not those that users know.
pub fn error_text(errno: Errno) -> &'static str {
    penfold_core::Errno::from_number(errno as i32).map_or(errno.desc(), penfold_core::Errno::text)
}
