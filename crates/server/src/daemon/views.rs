//! The file views of a daemon: what `View` of the control socket makes.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use penfold_core::CgroupId;

use crate::client::Client;
use crate::control::{Viewer, describe};
use crate::desk::{Desk, Filesystem};
use crate::failure::Failure;
use crate::protocol::{ViewCall, ViewReply};
use crate::view::{self, Shown, ViewHandle};

/// The views that are being served.
#[derive(Debug)]
pub(super) struct Views {
    desk: Desk,
    all: Mutex<Vec<(CgroupId, ViewHandle)>>,
}

impl Views {
    pub(super) fn new(desk: Desk) -> Views {
        Views { desk, all: Mutex::default() }
    }
}

impl Viewer for Views {
    fn view(&self, client: &Client, call: ViewCall, device: OwnedFd) -> Result<ViewReply, Failure> {
        let filesystem = match call.filesystem.as_deref() {
            None | Some("cgroup") => Filesystem::Cgroup,
            Some("cpuset") => Filesystem::Cpuset,
            Some("proc") => {
                view::serve(&self.desk, device, Shown::Proc, client)?;
                return Ok(ViewReply { hierarchy: None });
            }
            Some(other) => {
                let message = format!("file system {other:?}: there are cgroup, cpuset and proc");
                return Err(Failure::new(Errno::ENODEV, message));
            }
        };
        let root = self.desk.mount(client, &call.options, filesystem)?.root;
        match view::serve(&self.desk, device, Shown::Hierarchy { root }, client) {
            Ok(view) => self.all.lock().unwrap_or_else(PoisonError::into_inner).push((root, view)),
            Err(failure) => {
                self.desk.unmount(&Client::own(), root)?;
                return Err(failure);
            }
        }
        tracing::info!(target = call.target, options = call.options, "serving files");
        let hierarchy = self.desk.look(move |engine, _| {
            // it may have been unmounted already
            engine.tree().get(root).map(|_| describe(engine, root))
        })?;
        Ok(ViewReply { hierarchy })
    }

    fn views_of(&self, root: CgroupId) -> usize {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, view)| !view.has_ended());
        all.iter().filter(|(of, _)| *of == root).count()
    }
}
