//! The hosts of penfold on Linux.

pub mod descriptor;
pub mod doctor;
pub mod error_text;
pub mod fuse_mount;
pub mod host;
pub mod inherit;
pub mod orphans;
pub mod peer;
pub mod process;
pub mod release;
pub mod terminal;
pub mod trace;
