//! The hosts of penfold on Linux.

pub mod descriptor;
pub mod doctor;
pub mod fuse_mount;
pub mod host;
pub mod orphans;
pub mod peer;
pub mod proc;
pub mod process;
pub mod release;
pub mod terminal;
pub mod trace;
