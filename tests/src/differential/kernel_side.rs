//! The kernel's own cgroup v1 as a side.

use super::setup::Home;
use super::side::Mounted;
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
pub struct KernelNamed {
    place: PathBuf,
    warm: Option<Warm>,
}

impl KernelNamed {
    /// Mounts one in `home`, named after it. While it is there attaches are quick, anywhere on the machine.
    pub fn mount(home: &Home) -> io::Result<Self> {
        let place = home.path().join("mount");
        fs::create_dir(&place)?;
        let options = format!("none,name={}", home.unique());
        mount(Some("cgroup"), &place, Some("cgroup"), MsFlags::empty(), Some(&*options))?;
        let warm = Warm::keep(&place);
        Ok(Self { place, warm })
    }
}

/// Attaches a thread of its own to where it is, again and again: an attach that follows none for 20 ms waits 8 ms for
/// all CPUs. The mount option `favordynmods` would do it too, but a kernel from 6.18 on keeps it for all hierarchies
/// until it is booted again.
#[derive(Debug)]
struct Warm(Arc<AtomicBool>, JoinHandle<()>);

impl Warm {
    /// `None` if the hierarchy can't be written to; then attaches take their time.
    fn keep(root: &Path) -> Option<Self> {
        let mut tasks = File::options().write(true).open(root.join("tasks")).ok()?;
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            // by its number: the kernel takes a shorter way for 0
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

impl Mounted for KernelNamed {
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

impl Drop for KernelNamed {
    fn drop(&mut self) {
        if let Some(warm) = self.warm.take() {
            warm.end();
        }
        unmount_for_good(&self.place);
    }
}

/// The machine's hierarchy of a controller; only children that are made in it are touched.
#[derive(Debug)]
pub struct KernelController {
    controller: String,
    root: PathBuf,
    /// Mounted here by the test, because the machine has it nowhere.
    own: bool,
    /// See [`KernelNamed::mount`].
    _quick: KernelNamed,
}

impl KernelController {
    /// Finds where it is mounted, or mounts it in `home`.
    pub fn find(controller: &str, home: &Home) -> io::Result<Self> {
        let quick = KernelNamed::mount(home)?;
        let controller = controller.to_owned();
        if let Some(root) = controller_mount(&controller) {
            return Ok(Self { controller, root, own: false, _quick: quick });
        }
        let root = home.path().join(&controller);
        fs::create_dir(&root)?;
        mount(Some("cgroup"), &root, Some("cgroup"), MsFlags::empty(), Some(&*controller))?;
        Ok(Self { controller, root, own: true, _quick: quick })
    }
}

impl Mounted for KernelController {
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
