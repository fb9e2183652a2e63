//! Access to a task's memory.

use std::io::{IoSlice, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use penfold_core::Tid;

/// Reads `buffer.len()` bytes of a task's memory; `EFAULT` when not all of it is readable.
pub(crate) fn read(tid: Tid, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    let length = buffer.len();
    let remote = [RemoteIoVec { base: address as usize, len: length }];
    all_or_efault(process_vm_readv(Pid::from_raw(tid.0), &mut [IoSliceMut::new(buffer)], &remote), length)
}

/// Writes into a task's memory; `EFAULT` when not all of it is writable.
pub(crate) fn write(tid: Tid, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let remote = [RemoteIoVec { base: address as usize, len: bytes.len() }];
    all_or_efault(process_vm_writev(Pid::from_raw(tid.0), &[IoSlice::new(bytes)], &remote), bytes.len())
}

fn all_or_efault(done: Result<usize, Errno>, length: usize) -> Result<(), Errno> {
    if done? == length { Ok(()) } else { Err(Errno::EFAULT) }
}
