//! Cgroups of the benchmark in hierarchies of the kernel.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use penfold_testkit::retry;

/// The time that a cgroup may still be busy with tasks that were killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before an unmount. A removed cgroup holds its hierarchy until the kernel has worked on it. A hierarchy
/// unmounted before that stays until it is mounted and unmounted once more.
const BEFORE_UNMOUNT: Duration = Duration::from_millis(300);
const UNMOUNTS: u32 = 10;

/// Moves this process into a mount namespace. No other process sees its mounts from now on, and none stays when it
/// dies.
///
/// # Errors
/// `EPERM` for a process that is not root.
pub fn own_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// A cgroup. The drop removes it with everything below.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the cgroup.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn make(path: PathBuf) -> io::Result<Directory> {
        fs::create_dir(&path).map_err(|error| at(&path, error))?;
        Ok(Directory(path))
    }

    /// The path of the cgroup.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Removes a cgroup and all cgroups below.
fn remove(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    let attempt = || match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(error),
        done => Ok(done),
    };
    retry(PATIENCE, attempt).unwrap_or_else(Err)
}

/// A hierarchy without controllers. The drop unmounts it.
#[derive(Debug)]
pub struct NamedHierarchy {
    target: PathBuf,
    name: String,
}

impl NamedHierarchy {
    /// Mounts the hierarchy at a new directory.
    ///
    /// # Errors
    /// As mount(2).
    pub fn mount(target: PathBuf, name: &str) -> io::Result<NamedHierarchy> {
        fs::create_dir(&target)?;
        let named = NamedHierarchy { target, name: name.to_owned() };
        named.mount_once().map_err(|errno| at(&named.target, errno.into()))?;
        Ok(named)
    }

    fn mount_once(&self) -> nix::Result<()> {
        let options = format!("none,name={}", self.name);
        mount(Some("cgroup"), &self.target, Some("cgroup"), MsFlags::empty(), Some(&*options))
    }

    fn exists(&self) -> bool {
        let named = format!(":name={}:", self.name);
        fs::read_to_string("/proc/self/cgroup").is_ok_and(|text| text.contains(&named))
    }

    /// The directory of the root.
    pub fn root(&self) -> &Path {
        &self.target
    }
}

impl Drop for NamedHierarchy {
    fn drop(&mut self) {
        for _ in 0..UNMOUNTS {
            thread::sleep(BEFORE_UNMOUNT);
            if let Err(errno) = umount(&self.target) {
                eprintln!("cannot unmount {}: {errno}", self.target.display());
                return;
            }
            thread::sleep(BEFORE_UNMOUNT);
            if !self.exists() || self.mount_once().is_err() {
                return;
            }
        }
        let _ = umount(&self.target);
        eprintln!("the kernel keeps the hierarchy {} for now", self.name);
    }
}

/// The directory at which the kernel's `pids` is mounted.
///
/// # Errors
/// `NotFound` if it is not mounted, as on machines with cgroup v2 only.
pub fn pids() -> io::Result<PathBuf> {
    let mounts = fs::read("/proc/self/mounts")?;
    let mounts = String::from_utf8_lossy(&mounts);
    let lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut of_pids = lines.filter(|words| {
        words.len() > 3 && words[2] == "cgroup" && words[3].split(',').any(|it| it == "pids")
    });
    let none = || io::Error::new(io::ErrorKind::NotFound, "the kernel's pids (cgroup v1) is not mounted");
    of_pids.next().map(|words| PathBuf::from(words[1])).ok_or_else(none)
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
