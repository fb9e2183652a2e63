//! The functions of the C library that this library replaces, and `errno`.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function of the next library that has it, looked up once.
pub(crate) struct RealFunction {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl RealFunction {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The address; null if no later library has the function. Two threads may look it up at the same time and find the
    /// same.
    pub(crate) fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends with a NUL.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

pub(crate) fn errno() -> i32 {
    // SAFETY: the C library gives the address of this thread's errno.
    unsafe { *libc::__errno_location() }
}

pub(crate) fn set_errno(errno: i32) {
    // SAFETY: the C library gives the address of this thread's errno.
    unsafe { *libc::__errno_location() = errno };
}

/// The `f_type` of the file system that a descriptor is on, from the kernel.
pub(crate) fn file_system(fd: i32) -> Option<libc::c_long> {
    // SAFETY: a `statfs` of zeros is a valid one.
    let mut answer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `statfs`, which has the same form in the kernel and in the C library on 64 bits.
    let done = unsafe { libc::syscall(libc::SYS_fstatfs, fd, &raw mut answer) };
    (done == 0).then_some(answer.f_type)
}
