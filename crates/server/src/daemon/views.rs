//! The file views of a daemon: what `View` of the control socket makes.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use penfold_core::CgroupId;
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};

use crate::client::Client;
use crate::control::{Viewer, describe};
use crate::desk::{Desk, Filesystem};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::journal::{Journal, Text, View, mount_namespace as place_of_mounts};
use crate::protocol::{ViewCall, ViewReply};
use crate::view::{self, Shown, ViewHandle};

/// The views that are being served.
#[derive(Debug)]
pub(super) struct Views {
    desk: Desk,
    journal: Option<Journal>,
    all: Mutex<Vec<Served>>,
}

#[derive(Debug)]
struct Served {
    /// `None` for `proc`.
    root: Option<CgroupId>,
    target: PathBuf,
    /// In the mount namespace of this process.
    here: bool,
    handle: ViewHandle,
}

impl Views {
    pub(super) fn new(desk: Desk) -> Views {
        Views { desk, journal: None, all: Mutex::default() }
    }

    /// Has views written down from now on, those that there are already first.
    pub(super) fn keep(&mut self, journal: Journal) {
        for served in self.all.get_mut().unwrap_or_else(PoisonError::into_inner) {
            record(&journal, served, place_of_mounts(std::process::id().cast_signed()));
        }
        self.journal = Some(journal);
    }

    /// Serves a device that is mounted at `target` in the mount namespace of `client`.
    fn serve(
        &self,
        client: &Client,
        device: OwnedFd,
        (options, filesystem): (&str, Option<Filesystem>),
        target: PathBuf,
    ) -> Result<Option<CgroupId>, Failure> {
        let root = match filesystem {
            Some(filesystem) => Some(self.desk.mount(client, options, filesystem)?.root),
            None => {
                client.caller.must_be_privileged("mount", "proc")?;
                None
            }
        };
        let shown = root.map_or(Shown::Proc, |root| Shown::Hierarchy { root });
        let handle = match view::serve(&self.desk, device, shown, client) {
            Ok(handle) => handle,
            Err(failure) => {
                if let Some(root) = root {
                    self.desk.unmount(&Client::own(), root)?;
                }
                return Err(failure);
            }
        };
        let namespace = place_of_mounts(client.caller.task.0);
        let here = namespace == place_of_mounts(std::process::id().cast_signed());
        let served = Served { root, target, here, handle };
        if let Some(journal) = &self.journal {
            record(journal, &served, namespace);
        }
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(served);
        Ok(root)
    }

    /// Mounts a view of an earlier daemon again and serves it.
    pub(super) fn mount_again(
        &self,
        view: &View,
        how: &FuseMount,
        options: Option<&str>,
    ) -> Result<(), Failure> {
        let target = PathBuf::from(OsStr::from_bytes(&view.target.0));
        let device = how.mount(&target).map_err(|error| Failure::new(error.errno(), error.to_string()))?;
        // what was legacy about a cpuset file system is in the hierarchy's options
        let what = (options.unwrap_or_default(), options.map(|_| Filesystem::Cgroup));
        self.serve(&Client::own(), device, what, target.clone()).map(drop).inspect_err(|_| {
            // without somebody who serves it, it would be dead again
            let _ = unmount(&target, Unmounting { lazy: true });
        })
    }

    /// Unmounts every view of this mount namespace: a daemon that ends in order leaves no dead mounts. Those elsewhere are
    /// out of reach.
    pub(super) fn unmount_all(&self) {
        let all = std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner));
        for served in all.into_iter().filter(|served| served.here && !served.handle.has_ended()) {
            if let Err(error) = unmount(&served.target, Unmounting { lazy: true }) {
                tracing::warn!("a view can't be unmounted: {error}");
            }
        }
    }
}

fn record(journal: &Journal, served: &Served, namespace: u64) {
    let view = View {
        target: Text(served.target.as_os_str().as_bytes().to_vec()),
        root: served.root.map(CgroupId::number),
        namespace,
    };
    journal.view(view, served.handle.ended());
}

impl Viewer for Views {
    fn view(&self, client: &Client, call: ViewCall, device: OwnedFd) -> Result<ViewReply, Failure> {
        let filesystem = match call.filesystem.as_deref() {
            None | Some("cgroup") => Some(Filesystem::Cgroup),
            Some("cpuset") => Some(Filesystem::Cpuset),
            Some("proc") => None,
            Some(other) => {
                let message = format!("file system {other:?}: there are cgroup, cpuset and proc");
                return Err(Failure::new(Errno::ENODEV, message));
            }
        };
        let target = PathBuf::from(OsStr::from_bytes(&unescape(&call.target)));
        let Some(root) = self.serve(client, device, (&call.options, filesystem), target)? else {
            return Ok(ViewReply { hierarchy: None });
        };
        tracing::info!(target = call.target, options = call.options, "serving files");
        let hierarchy = self.desk.look(move |engine, _| {
            // it may have been unmounted already
            engine.tree().get(root).map(|_| describe(engine, root))
        })?;
        Ok(ViewReply { hierarchy })
    }

    fn views_of(&self, root: CgroupId) -> usize {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|served| !served.handle.has_ended());
        all.iter().filter(|served| served.root == Some(root)).count()
    }
}
