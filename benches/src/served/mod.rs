//! The same operations on cgroups in three ways, in turns: on the kernel's cgroup v1, through penfold's file view
//! (FUSE), and through its control socket.

pub mod daemon;
pub mod interrupted;
pub mod kernel;
pub mod measure;
pub mod report;
pub mod sleeping_threads;
pub mod suite;
pub mod way;
