//! The kernel's own cgroup v1 as a side.

use super::setup::Home;
use super::side::Mounted;
use crate::kernel::{controller_mount, unmount_for_good};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A fresh hierarchy without controllers.
#[derive(Debug)]
pub struct KernelNamed {
    place: PathBuf,
}

impl KernelNamed {
    /// Mounts one in `home`, named after it. `favordynmods` lets an attach, anywhere on the machine, take
    /// microseconds and not milliseconds as long as it is there.
    pub fn mount(home: &Home) -> io::Result<Self> {
        let place = home.path().join("mount");
        fs::create_dir(&place)?;
        let options = format!("none,name={},favordynmods", home.unique());
        mount(Some("cgroup"), &place, Some("cgroup"), MsFlags::empty(), Some(&*options))?;
        Ok(Self { place })
    }
}

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
