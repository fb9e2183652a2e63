//! Directories of our own in hierarchies of the kernel's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use penfold_testkit::retry;

/// How long a cgroup may still be busy with tasks that were killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// A removed cgroup holds its hierarchy until the kernel has worked on the cgroup. A hierarchy that is unmounted before
/// then stays until it is mounted and unmounted once more.
const BEFORE_UNMOUNT: Duration = Duration::from_millis(300);
const UNMOUNTS: u32 = 10;

/// Gives this process a mount namespace of its own. No other process sees its later mounts, and none of these mounts
/// stays when the process dies.
///
/// # Errors
/// `EPERM` for a process that is not root.
pub fn own_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// A directory with everything below it, removed when dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the directory `path`.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn make(path: PathBuf) -> io::Result<Directory> {
        fs::create_dir(&path).map_err(|error| at(&path, error))?;
        Ok(Directory(path))
    }

    /// The path of the directory.
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

/// Removes a cgroup and those below.
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

/// A hierarchy without controllers, unmounted when dropped.
#[derive(Debug)]
pub struct NamedHierarchy {
    target: PathBuf,
    name: String,
}

impl NamedHierarchy {
    /// Mounts the hierarchy `name` at `target`, a new directory.
    ///
    /// # Errors
    /// As mkdir(2) and mount(2).
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

    /// The root directory of the hierarchy.
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

/// Where the kernel's `pids` is mounted.
///
/// # Errors
/// `NotFound` where it is not, as on machines with cgroup v2 only.
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
