//! The kernel's own cgroup v1 as a side.

use super::setup::WorkDir;
use super::side::SideMount;
use crate::kernel::{controller_mount, unmount_for_good};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A fresh hierarchy without controllers.
#[derive(Debug)]
pub struct KernelNamedHierarchy {
    place: PathBuf,
    warm: Option<AttachLoop>,
}

impl KernelNamedHierarchy {
    /// Mounts a hierarchy in `work_dir`, with its name. While that is mounted, attaches on the whole machine are quick.
    pub fn mount(work_dir: &WorkDir) -> io::Result<Self> {
        let place = work_dir.path().join("mount");
        fs::create_dir(&place)?;
        let options = format!("none,name={}", work_dir.unique());
        mount(Some("cgroup"), &place, Some("cgroup"), MsFlags::empty(), Some(&*options))?;
        let warm = AttachLoop::keep(&place);
        Ok(Self { place, warm })
    }
}

/// A thread that attaches itself to its own cgroup again and again, to keep attaches quick.
///
/// An attach waits 8 ms for all CPUs if there was none in the last 20 ms. The mount option `favordynmods` would help
/// too, but a kernel from 6.18 on then keeps it for all hierarchies until the next boot.
#[derive(Debug)]
struct AttachLoop(Arc<AtomicBool>, JoinHandle<()>);

impl AttachLoop {
    /// Starts the thread. `None` if the hierarchy can't be written to; then attaches are slow.
    fn keep(root: &Path) -> Option<Self> {
        let mut tasks = File::options().write(true).open(root.join("tasks")).ok()?;
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            // the number and not 0, for which the kernel takes a shorter way
            let own = nix::unistd::gettid().to_string();
            while !ended.load(Ordering::Relaxed) && tasks.write_all(own.as_bytes()).is_ok() {
                thread::sleep(WARM);
            }
        });
        Some(Self(end, thread))
    }

    fn end(self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.join();
    }
}

const WARM: Duration = Duration::from_millis(3);

impl SideMount for KernelNamedHierarchy {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn root(&self) -> &Path {
        &self.place
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn controller(&self) -> Option<&str> {
        None
    }
}

impl Drop for KernelNamedHierarchy {
    fn drop(&mut self) {
        if let Some(warm) = self.warm.take() {
            warm.end();
        }
        unmount_for_good(&self.place);
    }
}

/// The machine's hierarchy of a controller. Only new children of its root are touched.
#[derive(Debug)]
pub struct KernelController {
    controller: String,
    root: PathBuf,
    /// Whether the test has mounted the hierarchy, because the machine has not.
    own: bool,
    /// See [`KernelNamedHierarchy::mount`].
    _quick: KernelNamedHierarchy,
}

impl KernelController {
    /// Finds the hierarchy's mount, or mounts the hierarchy in `work_dir`.
    pub fn find(controller: &str, work_dir: &WorkDir) -> io::Result<Self> {
        let quick = KernelNamedHierarchy::mount(work_dir)?;
        let controller = controller.to_owned();
        if let Some(root) = controller_mount(&controller) {
            return Ok(Self { controller, root, own: false, _quick: quick });
        }
        let root = work_dir.path().join(&controller);
        fs::create_dir(&root)?;
        mount(Some("cgroup"), &root, Some("cgroup"), MsFlags::empty(), Some(&*controller))?;
        Ok(Self { controller, root, own: true, _quick: quick })
    }
}

impl SideMount for KernelController {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn is_ours(&self) -> bool {
        false
    }

    fn controller(&self) -> Option<&str> {
        Some(&self.controller)
    }
}

impl Drop for KernelController {
    fn drop(&mut self) {
        if self.own {
            unmount_for_good(&self.root);
        }
    }
}
