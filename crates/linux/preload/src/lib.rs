//! A library for `LD_PRELOAD` by which dynamically linked programs that look for file systems of type `cgroup` find the
//! mounts of penfold, which have the type `fuse.cgroup.CONTROLLERS`.
//!
//! It lives inside programs that know nothing of it, so it does as little as it can: the real call is made first, and
//! only a descriptor that then turns out to be one of a handful of files of `/proc` is replaced by another one. Whatever
//! goes wrong on the way leaves the real answer. Nothing here takes memory from the program's allocator, holds a lock
//! or keeps a thread-local, since calls come from signal handlers, from between vfork and exec, and from allocators
//! that look at `/proc` while they start.
//!
//! `docs/shim.md` says what it can't do.

mod adjust;
mod descriptor;
mod exports;
mod mapped_buffer;
mod proc_file;
mod real;
mod rewrite;
mod settings;
mod statfs;
