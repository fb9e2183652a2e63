//! The replacement of a file of `/proc` behind a descriptor that the program has just opened.

use crate::descriptor::{Descriptor, path_of};
use crate::mapped_buffer::MappedBuffer;
use crate::proc_file::{ProcFile, proc_file};
use crate::{real, rewrite, settings};

/// `f_type` of the real `/proc`.
const PROC_SUPER_MAGIC: libc::c_long = 0x9fa0;

/// Replaces the file behind a descriptor, if penfold has another text for that file. `errno` stays as it is.
pub(crate) fn adjust(fd: i32) {
    let errno = real::errno();
    // nothing is lost when this fails anywhere: the kernel's own file stays
    let _ = replaced(fd);
    real::set_errno(errno);
}

fn replaced(fd: i32) -> Option<()> {
    // a file elsewhere may have a path like one of /proc
    (real::file_system(fd)? == PROC_SUPER_MAGIC).then_some(())?;
    let path = path_of(fd)?;
    match proc_file(path.bytes())? {
        ProcFile::Mounts => table(fd, rewrite::mounts),
        ProcFile::MountInfo => table(fd, rewrite::mountinfo),
        ProcFile::Text(number, name) => text(fd, number, name),
    }
}

fn table(fd: i32, rewrite: fn(&[u8], bool, &mut MappedBuffer) -> Option<()>) -> Option<()> {
    let hide = settings::hides_kernel_mounts();
    let mut kernels = MappedBuffer::new();
    // through a descriptor of its own, so that the program's stays at its beginning
    let path = path_of(fd)?;
    kernels.read_all(Descriptor::open_path(&path)?.number())?;
    if !rewrite::concerns(kernels.bytes(), hide) {
        return None;
    }
    let mut ours = MappedBuffer::new();
    rewrite(kernels.bytes(), hide, &mut ours)?;
    Descriptor::with(&ours)?.replace(fd)
}

/// Replaces a file by the one below `PENFOLD_PROC`. That is opened, not copied, so the daemon serves each read, as
/// `/proc` does.
fn text(fd: i32, number: &[u8], name: &[u8]) -> Option<()> {
    let directory = settings::proc_directory()?.to_bytes();
    let path = if number.is_empty() {
        crate::descriptor::PathBuffer::new(&[directory, b"/", name])
    } else {
        crate::descriptor::PathBuffer::new(&[directory, b"/", number, b"/", name])
    };
    Descriptor::open_path(&path?)?.replace(fd)
}
