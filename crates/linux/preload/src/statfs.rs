//! The type of penfold's file systems in statfs(2).

use std::ffi::CStr;

use crate::descriptor::Descriptor;
use crate::mapped_buffer::MappedBuffer;
use crate::{real, rewrite};

/// `f_type` of a FUSE file system.
const FUSE_SUPER_MAGIC: libc::c_long = 0x6573_5546;

/// `f_type` of the kernel's cgroup v1.
pub(crate) const CGROUP_SUPER_MAGIC: libc::c_long = 0x27_e0eb;

/// The type to report instead of the kernel's, for a file by its descriptor, or by its path from the current directory.
pub(crate) fn reported_type(kernels: libc::c_long, fd: i32, path: &CStr) -> libc::c_long {
    if kernels != FUSE_SUPER_MAGIC {
        return kernels;
    }
    let errno = real::errno();
    let ours = is_penfolds(fd, path).unwrap_or(false);
    real::set_errno(errno);
    if ours { CGROUP_SUPER_MAGIC } else { kernels }
}

fn is_penfolds(fd: i32, path: &CStr) -> Option<bool> {
    let device = device(fd, path)?;
    let mut table = MappedBuffer::new();
    table.read_all(Descriptor::open(c"/proc/self/mountinfo")?.number())?;
    Some(rewrite::is_penfolds(table.bytes(), libc::major(device), libc::minor(device)))
}

/// The device that a file is on. An empty path means the descriptor itself.
fn device(fd: i32, path: &CStr) -> Option<libc::dev_t> {
    // SAFETY: a `statx` of zeros is a valid one.
    let mut answer: libc::statx = unsafe { std::mem::zeroed() };
    // not synchronised: the kernel knows the device without the daemon
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: the path ends with a NUL and the kernel writes one `statx`.
    let done = unsafe {
        libc::syscall(libc::SYS_statx, fd, path.as_ptr(), flags, libc::STATX_TYPE, &raw mut answer)
    };
    (done == 0).then(|| libc::makedev(answer.stx_dev_major, answer.stx_dev_minor))
}
