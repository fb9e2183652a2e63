//! The number that a callback or a service of the binary interface returns: 0, or a negative errno.

use core::ffi::c_int;

use penfold_core::Errno;

/// The number for an error.
pub(crate) const fn code(errno: Errno) -> c_int {
    -errno.number()
}

/// The error that a number stands for; `None` for 0, and for a number that is no negative errno known to penfold.
pub(crate) fn errno_of(code: c_int) -> Option<Errno> {
    code.checked_neg().and_then(Errno::from_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_negative_errnos_are_errors() {
        assert_eq!(errno_of(code(Errno::EAGAIN)), Some(Errno::EAGAIN));
        for none in [0, 1, Errno::EAGAIN.number(), -4096, c_int::MIN, c_int::MAX] {
            assert_eq!(errno_of(none), None, "{none}");
        }
    }
}
