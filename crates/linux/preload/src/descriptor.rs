//! Descriptors of the library's own, made by bare system calls: the functions of these names may be the library's.

use std::ffi::CStr;

use crate::mapped_buffer::MappedBuffer;

/// A path in memory of a fixed size.
pub(crate) struct PathBuffer {
    bytes: [u8; libc::PATH_MAX as usize],
    length: usize,
}

impl PathBuffer {
    /// Joins the parts; `None` if they are too long for a path.
    pub(crate) fn new(parts: &[&[u8]]) -> Option<Self> {
        let mut path = Self { bytes: [0; libc::PATH_MAX as usize], length: 0 };
        for part in parts {
            let end = path.length + part.len();
            path.bytes[..libc::PATH_MAX as usize - 1].get_mut(path.length..end)?.copy_from_slice(part);
            path.length = end;
        }
        Some(path)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn c_str(&self) -> &CStr {
        // the last byte is never written and so is a NUL
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// A number in decimal, for a path.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

/// A descriptor that is closed when dropped.
pub(crate) struct Descriptor(i32);

impl Descriptor {
    fn new(result: libc::c_long) -> Option<Self> {
        i32::try_from(result).ok().filter(|fd| *fd >= 0).map(Self)
    }

    /// Opens a file for reading.
    pub(crate) fn open(path: &CStr) -> Option<Self> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: `path` ends with a NUL, and the call touches no other memory.
        Self::new(unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) })
    }

    /// Opens a file for reading.
    pub(crate) fn open_path(path: &PathBuffer) -> Option<Self> {
        Self::open(path.c_str())
    }

    /// A file in memory with this content, open for reading only, at its beginning.
    pub(crate) fn with(content: &MappedBuffer) -> Option<Self> {
        // SAFETY: the name ends with a NUL.
        let made = unsafe { libc::syscall(libc::SYS_memfd_create, c"mounts".as_ptr(), libc::MFD_CLOEXEC) };
        let memory = Self::new(made)?;
        let mut rest = content.bytes();
        while !rest.is_empty() {
            // SAFETY: `rest` is readable memory of that length.
            let written = unsafe { libc::syscall(libc::SYS_write, memory.0, rest.as_ptr(), rest.len()) };
            rest = &rest[usize::try_from(written).ok().filter(|written| *written > 0)?..];
        }
        Self::open_path(&proc_self_fd(memory.0)?)
    }

    pub(crate) fn number(&self) -> i32 {
        self.0
    }

    /// Makes `fd` stand for this file, in one step: no other thread sees `fd` closed.
    pub(crate) fn replace(&self, fd: i32) -> Option<()> {
        // SAFETY: takes and gives numbers only.
        let flags = unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFD) };
        let keep = if flags & libc::c_long::from(libc::FD_CLOEXEC) == 0 { 0 } else { libc::O_CLOEXEC };
        // SAFETY: takes and gives numbers only. `fd` was opened for the caller a moment ago, and no other code knows it
        // yet.
        (flags >= 0 && unsafe { libc::syscall(libc::SYS_dup3, self.0, fd, keep) } >= 0).then_some(())
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: this value owns the descriptor, which is not used any more.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// `/proc/self/fd/FD`
fn proc_self_fd(fd: i32) -> Option<PathBuffer> {
    PathBuffer::new(&[b"/proc/self/fd/", decimal(u32::try_from(fd).ok()?, &mut [0; 10])])
}

/// The path of the file that a descriptor is open on.
pub(crate) fn path_of(fd: i32) -> Option<PathBuffer> {
    let link = proc_self_fd(fd)?;
    let mut path = PathBuffer::new(&[])?;
    let (target, room) = (path.bytes.as_mut_ptr(), path.bytes.len() - 1);
    // SAFETY: the link's name ends with a NUL and `room` bytes at `target` can be written.
    let read =
        unsafe { libc::syscall(libc::SYS_readlinkat, libc::AT_FDCWD, link.c_str().as_ptr(), target, room) };
    path.length = usize::try_from(read).ok().filter(|length| *length < room)?;
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        assert_eq!(decimal(0, &mut [0; 10]), b"0");
        assert_eq!(decimal(1024, &mut [0; 10]), b"1024");
        assert_eq!(decimal(u32::MAX, &mut [0; 10]), b"4294967295");
    }

    #[test]
    fn paths_that_are_too_long_are_none() {
        let half = [b'a'; libc::PATH_MAX as usize / 2];
        assert!(PathBuffer::new(&[&half, &half[1..]]).is_some());
        assert!(PathBuffer::new(&[&half, &half]).is_none());
    }

    #[test]
    fn content_is_at_its_start_and_read_only() {
        let mut content = MappedBuffer::new();
        content.push(b"some text").expect("memory");
        let descriptor = Descriptor::with(&content).expect("a descriptor");
        let mut read = MappedBuffer::new();
        read.read_all(descriptor.number()).expect("readable");
        assert_eq!(read.bytes(), b"some text");
        // SAFETY: the buffer is one byte long.
        let written = unsafe { libc::write(descriptor.number(), b"x".as_ptr().cast(), 1) };
        assert_eq!(written, -1);
    }

    #[test]
    fn replaced_descriptor_keeps_number_and_close_on_exec() {
        let file = Descriptor::open(c"/proc/self/mounts").expect("a file");
        assert!(path_of(file.number()).expect("a path").bytes().ends_with(b"/mounts"));
        let other = Descriptor::open(c"/proc/self/status").expect("a file");
        other.replace(file.number()).expect("replaced");
        assert!(path_of(file.number()).expect("a path").bytes().ends_with(b"/status"));
        // SAFETY: takes and gives numbers only.
        assert_eq!(unsafe { libc::fcntl(file.number(), libc::F_GETFD) }, libc::FD_CLOEXEC);
    }
}
