//! The file view: a hierarchy, or the texts of `/proc`, as a FUSE file system.
//!
//! The client has mounted `/dev/fuse` in its own mount namespace and hands the open device over; here it is served.
//! Kernel and view agree on long lifetimes of what the kernel remembers: whatever changes on another way than through
//! the view itself is told to the kernel by a thread of its own (`invalidation.rs`), never by the one that answers
//! requests, since the kernel may hold the very lock that it would wait for.

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
use filesystem::HierarchyView;
use identity::RequestIdentity;
use proc::ProcView;

pub use viewer::{FileViews, MountedView, ViewObserver};

/// What a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewContent {
    /// A mounted hierarchy. The mount is taken away when the view ends.
    Hierarchy {
        /// Its root.
        root: CgroupId,
    },
    /// `cgroups`, `PID/cgroup` and `PID/cpuset`.
    Proc,
}

/// A view that is served. Dropping it does not end it: an unmount does.
#[derive(Debug)]
pub struct ViewHandle {
    id: ViewId,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl ViewHandle {
    /// Under which its changes are announced.
    pub fn id(&self) -> ViewId {
        self.id
    }

    /// Has it been unmounted?
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until it has been unmounted and its mount is given back.
    pub fn join(self) {
        // a panic has been printed by the thread itself
        let _ = self.thread.join();
    }
}

/// Serves a view until it is unmounted, by whomever. Returns when the kernel has agreed to it.
///
/// `device` is `/dev/fuse`, mounted by `mounter` with `default_permissions`. Two threads serve it and, for a hierarchy,
/// a third tells the kernel of changes; they use no CPU while nothing happens.
///
/// # Errors
/// `EINVAL` if `device` is not `/dev/fuse`, `EPERM` if it is not mounted, what the kernel answers. Then the mount of a
/// hierarchy is still the caller's to take away.
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
            // before the first request, so that no change is missed
            service.observe(move |announced| {
                let heard = !invalidation::concerns(&asked, id, announced)
                    || tell.send(announced.change.clone()).is_ok();
                // what tells ends with the sender
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
                // also ends the thread above, which hears of it
                if let Err(error) = service.unmount(&Client::own(), root) {
                    tracing::debug!(view = id.0, %error, "the mount was gone already");
                }
            })?
        }
    };
    Ok(ViewHandle { id, ended, thread })
}

/// Whoever could hand over something else than the kernel's own device could forge requests of any user.
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
    // the kernel asks for allow_other itself, and checks owner and mode
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
