//! The file view: a hierarchy, or the texts of `/proc`, as a FUSE file system.
//!
//! The client mounts `/dev/fuse` in its own mount namespace and passes the open device. The daemon serves the kernel's
//! requests on it.
//!
//! The kernel may cache entries and attributes for a long time, which makes most accesses cheap. So a change that did
//! not come through the view must be reported to the kernel. A thread of its own does this (`invalidation.rs`). The
//! thread that answers requests must not: the kernel may hold the lock that the report would wait for.

mod attributes;
mod directories;
mod files;
mod filesystem;
mod identity;
mod invalidation;
mod nodes;
mod proc;
mod viewer;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use fuser::{Config, Filesystem, Session, SessionACL};
use nix::errno::Errno;
use penfold_core::{CgroupId, ErrorKind};

use crate::change::ViewId;
use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;
use crate::turns::QueueOwner;
use filesystem::HierarchyView;
use identity::RequestIdentity;
use proc::ProcView;

pub use viewer::{FileViews, MountedView, ViewObserver};

/// The content of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewContent {
    /// A mounted hierarchy. The view takes that mount away when it ends.
    Hierarchy {
        /// The root of the hierarchy.
        root: CgroupId,
    },
    /// The texts of `/proc`: `cgroups`, `PID/cgroup` and `PID/cpuset`.
    Proc,
}

/// A view that is being served. Only an unmount ends the view; dropping the handle does not.
#[derive(Debug)]
pub struct ViewHandle {
    id: ViewId,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl ViewHandle {
    /// The id of the view in [announcements](crate::change::Announcement) of changes that came through it.
    pub fn id(&self) -> ViewId {
        self.id
    }

    /// True if the view has been unmounted.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until the view has been unmounted, and its mount of the hierarchy is taken away.
    pub fn join(self) {
        // a panic has been printed by the thread itself
        let _ = self.thread.join();
    }
}

/// Serves a view until it is unmounted. Returns when the kernel has accepted the connection.
///
/// `device` is `/dev/fuse`, mounted by `mounter` with `default_permissions`. Two threads serve it. A hierarchy's view
/// has a third one, which reports changes to the kernel. They use no CPU while nothing happens.
///
/// # Errors
/// `EINVAL` if `device` is not `/dev/fuse`; `EPERM` if it is not mounted; the errno of the kernel's answer. The caller
/// must then take the hierarchy's mount away.
pub fn serve(
    service: &Service,
    device: OwnedFd,
    shown: ViewContent,
    mounter: &Client,
) -> Result<ViewHandle, Failure> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let device = must_be_fuse(device)?;
    let id = ViewId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    let identity = RequestIdentity::of(mounter, service.trust());
    let service = &service.queued_as(QueueOwner::View(id.0));
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let thread = match shown {
        ViewContent::Proc => {
            let session = session(ProcView::new(service.clone(), identity), device)?;
            spawn(id, move || run(session, &end))?
        }
        ViewContent::Hierarchy { root } => {
            let view = HierarchyView::new(service.clone(), id, root, identity);
            let nodes = view.nodes();
            let (tell, changes) = mpsc::channel();
            let (asked, over) = (nodes.clone(), Arc::clone(&ended));
            // observe before the first request, so that no change is missed
            service.observe(move |announced| {
                let heard = !invalidation::concerns(&asked, id, announced)
                    || tell.send(announced.change.clone()).is_ok();
                // false drops the sender, which ends the reporting thread
                heard && !over.load(Ordering::Acquire)
            });
            let session = session(view, device)?;
            let notifier = session.notifier();
            let stop = Arc::clone(&ended);
            thread::Builder::new()
                .name(format!("view{}-tell", id.0))
                .spawn(move || invalidation::run(&changes, &notifier, &nodes, root, &stop))
                .map_err(no_thread)?;
            let service = service.clone();
            spawn(id, move || {
                run(session, &end);
                // the announcement of this also wakes the reporting thread, which then ends
                if let Err(error) = service.unmount(&Client::own(), root) {
                    tracing::debug!(view = id.0, %error, "the mount was gone already");
                }
            })?
        }
    };
    Ok(ViewHandle { id, ended, thread })
}

/// Checks that the descriptor is the kernel's FUSE device. A client could forge requests of any user over another one.
///
/// # Errors
/// `EINVAL`.
fn must_be_fuse(device: OwnedFd) -> Result<OwnedFd, Failure> {
    const FUSE_DEVICE: u64 = nix::libc::makedev(10, 229);
    let file = File::from(device);
    let is_fuse = file
        .metadata()
        .is_ok_and(|metadata| metadata.file_type().is_char_device() && metadata.rdev() == FUSE_DEVICE);
    if is_fuse {
        return Ok(file.into());
    }
    Err(Failure::new(ErrorKind::InvalidArgument, Errno::EINVAL, "descriptor", "is not /dev/fuse"))
}

fn session<F: Filesystem>(filesystem: F, device: OwnedFd) -> Result<Session<F>, Failure> {
    let mut config = Config::default();
    // the mount option allow_other and the kernel's check of owner and mode do this already
    config.acl = SessionACL::All;
    config.n_threads = Some(1);
    Session::from_fd(filesystem, device, config.acl, config).map_err(|error| {
        let failure = Failure::io("/dev/fuse", error);
        let detail = format!("{}; mount it before it is handed over", failure.detail);
        Failure { detail, ..failure }
    })
}

fn run<F: Filesystem>(session: Session<F>, ended: &AtomicBool) {
    if let Err(error) = session.run() {
        tracing::warn!(%error, "a view ended");
    }
    ended.store(true, Ordering::Release);
}

fn spawn(id: ViewId, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    thread::Builder::new().name(format!("view{}", id.0)).spawn(body).map_err(no_thread)
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::io("view", error).with_prefix("no thread for it: ")
}
