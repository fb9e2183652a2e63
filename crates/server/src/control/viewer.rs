//! The door to those who serve hierarchies as files.

use std::os::fd::OwnedFd;

use penfold_core::CgroupId;

use crate::client::Client;
use crate::failure::Failure;
use crate::protocol::{ViewCall, ViewReply};

/// Serves hierarchies as files: the method `View`.
pub trait Viewer: Send + Sync {
    /// Serves a hierarchy on an open `/dev/fuse`.
    ///
    /// # Errors
    /// As mount(2).
    fn view(&self, client: &Client, call: ViewCall, device: OwnedFd) -> Result<ViewReply, Failure>;

    /// How many of a hierarchy's mounts are file views: these are taken away by umount(8) alone.
    fn views_of(&self, root: CgroupId) -> usize;
}
