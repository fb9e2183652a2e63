//! A growing buffer in memory straight from the kernel: the caller may be the program's allocator.

use std::ptr;

/// The least growth, in bytes.
const STEP: usize = 64 * 1024;

/// The largest size, in bytes: no mount table is as long.
const LIMIT: usize = 64 * 1024 * 1024;

/// Bytes in an anonymous mapping of their own.
pub(crate) struct MappedBuffer {
    start: *mut u8,
    length: usize,
    size: usize,
}

impl MappedBuffer {
    pub(crate) const fn new() -> Self {
        Self { start: ptr::null_mut(), length: 0, size: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        if self.start.is_null() {
            return &[];
        }
        // SAFETY: this value owns `size` mapped bytes at `start`, and the first `length` of them have been written.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }

    /// Appends bytes. `None` when there is no memory, and then the content is of no use any more.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.reserve(bytes.len())?;
        // SAFETY: `reserve` made room for as many bytes behind `length`. `bytes` is not part of this mapping, which is
        // borrowed exclusively.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.length), bytes.len()) };
        self.length += bytes.len();
        Some(())
    }

    /// Appends everything that can be read from a descriptor; `None` on any error.
    pub(crate) fn read_all(&mut self, fd: i32) -> Option<()> {
        loop {
            self.reserve(STEP)?;
            // SAFETY: `reserve` made room for `STEP` bytes behind `length`.
            let read = unsafe { libc::syscall(libc::SYS_read, fd, self.start.add(self.length), STEP) };
            match usize::try_from(read) {
                Ok(0) => return Some(()),
                Ok(read) => self.length += read,
                Err(_) if crate::real::errno() == libc::EINTR => {}
                Err(_) => return None,
            }
        }
    }

    fn reserve(&mut self, more: usize) -> Option<()> {
        let needed = self.length.checked_add(more)?;
        if needed <= self.size {
            return Some(());
        }
        let size = needed.max(self.size * 2).checked_next_multiple_of(STEP).filter(|size| *size <= LIMIT)?;
        let start = if self.start.is_null() {
            let (access, kind) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new anonymous mapping touches no memory that exists.
            unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) }
        } else {
            // SAFETY: this value owns the old mapping and is borrowed exclusively, so nothing borrows from the mapping.
            unsafe { libc::mremap(self.start.cast(), self.size, size, libc::MREMAP_MAYMOVE) }
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        self.start = start.cast();
        self.size = size;
        Some(())
    }
}

impl Drop for MappedBuffer {
    fn drop(&mut self) {
        if !self.start.is_null() {
            // SAFETY: this value owns the mapping, and nothing borrows from it any more.
            unsafe { libc::munmap(self.start.cast(), self.size) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_keeps_what_is_there() {
        let mut mapped_buffer = MappedBuffer::new();
        assert_eq!(mapped_buffer.bytes(), b"");
        let line = [b'x'; 1000];
        for _ in 0..1000 {
            mapped_buffer.push(&line).expect("memory");
        }
        mapped_buffer.push(b"end").expect("memory");
        assert_eq!(mapped_buffer.bytes().len(), 1_000_003);
        assert!(mapped_buffer.bytes().ends_with(b"xend"));
        assert!(mapped_buffer.bytes()[..1_000_000].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn ends_at_its_limit() {
        let mut mapped_buffer = MappedBuffer::new();
        let block = vec![0; LIMIT / 2];
        assert!(mapped_buffer.push(&block).is_some());
        assert!(mapped_buffer.push(&block).is_some());
        assert!(mapped_buffer.push(b"x").is_none());
    }
}
