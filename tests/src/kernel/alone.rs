//! The kernel's hierarchies are one for the whole machine: who uses them at the same time.

use nix::fcntl::{Flock, FlockArg};
use std::fmt;
use std::fs::{self, File};
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Why a scenario can't be played here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// The machine lacks something.
    Missing(String),
    /// Somebody else has a cgroup, or mounted what the scenario mounts, where it must be alone. Says nothing about the
    /// machine: it goes away.
    InUse(PathBuf),
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hindrance::Missing(what) => f.write_str(what),
            Hindrance::InUse(cgroup) => {
                write!(f, "{} is somebody else's, and the scenario must be alone there", cgroup.display())
            }
        }
    }
}

/// Always there, the same file for every process of the machine, and never removed.
const LOCKED: &str = "/sys/fs";

/// Waits until no other process plays on the kernel's hierarchies. None begins to until this one has ended.
///
/// # Errors
/// Says why there is no lock.
pub fn take_turn() -> Result<(), String> {
    static TURN: OnceLock<Result<Flock<File>, String>> = OnceLock::new();
    TURN.get_or_init(lock).as_ref().map(|_| ()).map_err(Clone::clone)
}

fn lock() -> Result<Flock<File>, String> {
    let file = File::open(LOCKED).map_err(|error| format!("{LOCKED}: {error}"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .or_else(|(file, _)| {
            // not by a macro: the test's own output is shown only when it has ended
            let _ = writeln!(stderr(), "waiting: another process plays on the kernel's hierarchies");
            Flock::lock(file, FlockArg::LockExclusive)
        })
        .map_err(|(_, error)| format!("{LOCKED}: {error}"))
}

/// Says whether somebody else has a cgroup in the hierarchy of a controller. This process's own have names that begin
/// with `own`.
pub fn in_use(controller: &str, own: &str) -> Option<Hindrance> {
    foreign_cgroup(&super::proc::mount_point_of(controller)?, own).map(Hindrance::InUse)
}

fn foreign_cgroup(root: &Path, own: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let foreign = entries.filter(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !entry.file_name().to_string_lossy().starts_with(own)
    });
    foreign.map(|entry| entry.path()).min()
}
