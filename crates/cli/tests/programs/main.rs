//! Third-party programs on penfold's file systems. Each test has a mount namespace of its own with a daemon.

mod cgroupspy;
#[path = "../common/mod.rs"]
mod common;
mod crun;
mod documentation;
mod libcgroup;
mod mount_namespace;
mod shell_clients;
mod shell_session;
mod shim;
