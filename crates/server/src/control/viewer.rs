//! The interface between the control socket and the file views.

use std::os::fd::OwnedFd;

use penfold_core::CgroupId;

use crate::client::Client;
use crate::failure::Failure;
use crate::protocol::{ViewCall, ViewReply};

/// An implementation of the method `View`: serves hierarchies as files.
pub trait Viewer: Send + Sync {
    /// Serves a hierarchy on `device`, an open `/dev/fuse`.
    ///
    /// # Errors
    /// The errno of mount(2).
    fn view(&self, client: &Client, call: ViewCall, device: OwnedFd) -> Result<ViewReply, Failure>;

    /// The number of a hierarchy's mounts that are file views. Only umount(8) takes these away.
    fn views_of(&self, root: CgroupId) -> usize;
}
