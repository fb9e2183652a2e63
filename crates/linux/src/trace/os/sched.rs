//! Affinity to CPUs and memory nodes.

use std::mem;

use nix::errno::Errno;
use penfold_core::{Tid, host::IndexSet};

pub(crate) fn set_affinity(tid: Tid, mask: &IndexSet) -> Result<(), Errno> {
    let words = mask.to_words();
    let words = words.as_slice();
    // SAFETY: the kernel reads size_of_val(words) bytes from words. nix's type has a fixed number of CPUs.
    let rc =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid.0, mem::size_of_val(words), words.as_ptr()) };
    Errno::result(rc).map(drop)
}

/// The CPUs that a task may run on; 0 stands for the calling one.
pub(crate) fn affinity(tid: Tid) -> Result<IndexSet, Errno> {
    Ok(raw_affinity(tid)?.0)
}

/// The length in bytes of the kernel's own masks.
pub(crate) fn affinity_length() -> Result<usize, Errno> {
    Ok(raw_affinity(Tid(0))?.1)
}

/// A kernel mask of the calling thread, to be set again. Allocates nothing.
pub(crate) struct SavedAffinity([u8; 1024], usize);

impl SavedAffinity {
    /// The mask that is in force now.
    pub(crate) fn now() -> Result<SavedAffinity, Errno> {
        let (bytes, length) = kernel_mask(Tid(0))?;
        Ok(SavedAffinity(bytes, length))
    }

    /// Sets the mask again. `EINVAL` if none of its CPUs may be used any more.
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        // SAFETY: the kernel reads that many bytes, which it has written.
        let rc = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, self.1, self.0.as_ptr()) };
        Errno::result(rc).map(drop)
    }
}

fn raw_affinity(tid: Tid) -> Result<(IndexSet, usize), Errno> {
    let (bytes, length) = kernel_mask(tid)?;
    Ok((mask_of_bytes(&bytes[..length]), length))
}

/// The kernel's mask of a task, and its length in bytes; 0 stands for the calling task. Allocates nothing.
fn kernel_mask(tid: Tid) -> Result<([u8; 1024], usize), Errno> {
    let mut bytes = [0_u8; 1024];
    // SAFETY: the kernel writes at most the length that it is given.
    let rc = unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid.0, bytes.len(), bytes.as_mut_ptr()) };
    Ok((bytes, Errno::result(rc)? as usize))
}

/// The set in the bytes that a program passes to the kernel.
pub(crate) fn mask_of_bytes(bytes: &[u8]) -> IndexSet {
    let word = |chunk: &[u8]| {
        let mut whole = [0; 8];
        whole[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(whole)
    };
    IndexSet::from_words(&bytes.chunks(8).map(word).collect::<Vec<u64>>())
}

/// Moves a process's pages from some memory nodes to others.
pub(crate) fn migrate_pages(pid: Tid, from: &IndexSet, to: &IndexSet) -> Result<(), Errno> {
    let (mut from, mut to) = (from.to_words(), to.to_words());
    // the kernel takes one length in bits for both sets, and reads whole words of 64
    let words = from.len().max(to.len());
    from.resize(words, 0);
    to.resize(words, 0);
    // SAFETY: the kernel reads `words` words from each.
    let rc =
        unsafe { libc::syscall(libc::SYS_migrate_pages, pid.0, words * 64 + 1, from.as_ptr(), to.as_ptr()) };
    Errno::result(rc).map(drop)
}
