//! Programs that nobody here wrote, on penfold's file systems: each world is a mount namespace of its own with a daemon.

mod cgroupspy;
#[path = "../common/mod.rs"]
mod common;
mod crun;
mod documentation;
mod libcgroup;
mod session;
mod shell_clients;
mod shim;
mod world;
