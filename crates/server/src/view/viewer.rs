//! All file views of a daemon, and the method `View`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::errno::Errno;
use penfold_core::{CgroupId, ErrorKind};
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};

use super::{ViewContent, ViewHandle, serve};
use crate::client::Client;
use crate::control::Viewer;
use crate::describe::describe;
use crate::escape::unescape;
use crate::failure::Failure;
use crate::journal::mounted_at;
use crate::mounts::Filesystem;
use crate::protocol::{ViewCall, ViewReply};
use crate::service::Service;

/// A mounted file view, with all that a journal records of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedView {
    /// The mount point, in the mount namespace of `mounter`.
    pub target: PathBuf,
    /// `cgroup`, `cpuset` or `proc`.
    pub filesystem: &'static str,
    /// The root of its hierarchy; `None` for `proc`.
    pub root: Option<CgroupId>,
    /// The number of the process that mounted it.
    pub mounter: i32,
}

/// An observer of views that are mounted and unmounted.
pub trait ViewObserver: Send + Sync {
    /// Called when a view is served.
    fn mounted(&self, view: &MountedView);
    /// Called when a view was unmounted.
    fn unmounted(&self, view: &MountedView);
}

/// Serves views, and keeps a list of them.
pub struct FileViews {
    service: Service,
    observer: Option<Arc<dyn ViewObserver>>,
    views: Arc<Mutex<Vec<MountedView>>>,
}

impl FileViews {
    /// An empty list. `observer` is called for every view that comes or goes.
    pub fn new(service: Service, observer: Option<Arc<dyn ViewObserver>>) -> FileViews {
        FileViews { service, observer, views: Arc::default() }
    }

    /// The mounted views.
    pub fn mounted(&self) -> Vec<MountedView> {
        lock(&self.views).clone()
    }

    /// Mounts a view again, in this process's own mount namespace. `mount` describes the dead mount of an earlier
    /// daemon, which was at `target` and is unmounted by now. `root` is that of the hierarchy; `None` for `proc`.
    ///
    /// # Errors
    /// The errno of mount(2).
    pub fn mount_again(
        &self,
        target: &Path,
        mount: &FuseMount,
        filesystem: &str,
        root: Option<CgroupId>,
    ) -> Result<(), Failure> {
        let own = Client::own();
        let options =
            root.map(|root| self.service.with_snapshot(|engine, _| engine.show_options(root))).transpose()?;
        let options = options.transpose()?.unwrap_or_default();
        let device = mount.mount(target)?;
        let options = if filesystem == "cgroup" { options } else { Vec::new() };
        let served = self.start(&own, &options, filesystem, target, device);
        if served.is_err() {
            let _ = unmount(target, Unmounting { lazy: true });
        }
        served.map(drop)
    }

    /// Unmounts every view in this mount namespace, so that a daemon that ends in order leaves no dead mounts there.
    /// Views in other mount namespaces are out of reach.
    pub fn unmount_all(&self) {
        for view in self.mounted() {
            // the view may be in another mount namespace, and this mount point have another file system
            let ours = mounted_at(&view.target).is_some_and(|mount| {
                ["cgroup", "cpuset", "proc"].iter().any(|kind| mount.subtype.starts_with(kind))
            });
            if ours && let Err(error) = unmount(&view.target, Unmounting { lazy: true }) {
                tracing::warn!("a view can't be unmounted: {error}");
            }
        }
    }

    /// Mounts a hierarchy and serves it as files. Returns its root; `None` for `proc`.
    fn start(
        &self,
        client: &Client,
        options: &[u8],
        filesystem: &str,
        target: &Path,
        device: OwnedFd,
    ) -> Result<Option<CgroupId>, Failure> {
        let (filesystem, kind) = match filesystem {
            "cgroup" => ("cgroup", Some(Filesystem::Cgroup)),
            "cpuset" => ("cpuset", Some(Filesystem::Cpuset)),
            "proc" => ("proc", None),
            other => {
                let detail = "no such file system; there are cgroup, cpuset and proc";
                return Err(Failure::new(ErrorKind::InvalidArgument, Errno::ENODEV, other, detail));
            }
        };
        let root = if let Some(kind) = kind {
            Some(self.service.mount(client, options, kind)?.root)
        } else {
            client.caller.must_be_privileged("mount", "proc")?;
            None
        };
        let shown = root.map_or(ViewContent::Proc, |root| ViewContent::Hierarchy { root });
        let handle = serve(&self.service, device, shown, client).inspect_err(|_| {
            if let Some(root) = root {
                // takes the mount of a moment ago away
                let _ = self.service.unmount(&Client::own(), root);
            }
        })?;
        let mounter = client.caller.task.0;
        self.watch(handle, MountedView { target: target.to_owned(), filesystem, root, mounter });
        Ok(root)
    }

    /// Keeps a view in the list until it ends.
    fn watch(&self, handle: ViewHandle, view: MountedView) {
        lock(&self.views).push(view.clone());
        if let Some(observer) = &self.observer {
            observer.mounted(&view);
        }
        let (views, observer) = (Arc::clone(&self.views), self.observer.clone());
        let wait = move || {
            handle.join();
            let mut views = lock(&views);
            if let Some(index) = views.iter().position(|other| *other == view) {
                views.remove(index);
            }
            drop(views);
            if let Some(observer) = observer {
                observer.unmounted(&view);
            }
        };
        if let Err(error) = thread::Builder::new().name("view-end".into()).spawn(wait) {
            tracing::error!(%error, "a view is served and will be listed for ever");
        }
    }
}

impl std::fmt::Debug for FileViews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileViews").field("views", &self.mounted()).finish_non_exhaustive()
    }
}

fn lock(views: &Mutex<Vec<MountedView>>) -> MutexGuard<'_, Vec<MountedView>> {
    views.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Viewer for FileViews {
    fn view(&self, client: &Client, call: ViewCall, device: OwnedFd) -> Result<ViewReply, Failure> {
        let filesystem = call.filesystem.as_deref().unwrap_or("cgroup");
        let root =
            self.start(client, &unescape(&call.options), filesystem, Path::new(&call.target), device)?;
        let hierarchy = match root {
            Some(root) => self.service.with_snapshot(|engine, _| {
                engine.tree().get(root).is_some().then(|| describe(engine, root))
            })?,
            None => None,
        };
        Ok(ViewReply { hierarchy })
    }

    fn views_of(&self, root: CgroupId) -> usize {
        lock(&self.views).iter().filter(|view| view.root == Some(root)).count()
    }
}
