//! A library for `LD_PRELOAD`. With it, dynamically linked programs that look for file systems of type `cgroup` find
//! the mounts of penfold, which have the type `fuse.cgroup.CONTROLLERS`.
//!
//! The library lives inside programs that know nothing of it, so it does as little as it can. It makes the real call
//! first. It replaces a descriptor only if that is one of a handful of files of `/proc`. If anything fails on the way,
//! the real result stays.
//!
//! Calls come from signal handlers, from between vfork and exec, and from allocators that read `/proc` while they
//! start. So no function here takes memory from the program's allocator, holds a lock or keeps a thread-local.
//!
//! `docs/shim.md` lists its limits.

mod adjust;
mod descriptor;
mod exports;
mod mapped_buffer;
mod proc_file;
mod real;
mod rewrite;
mod settings;
mod statfs;
