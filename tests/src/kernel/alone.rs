//! Other users of the kernel's hierarchies, which are the same for the whole machine.

use nix::fcntl::{Flock, FlockArg};
use penfold_testkit::{skip, skip_even_in_ci};
use std::fmt;
use std::fs::{self, File};
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The reason why a scenario can't be played here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// The machine lacks something.
    Missing(String),
    /// Another program uses a hierarchy in which the scenario must be alone: it has a cgroup there, or has mounted the
    /// hierarchy. This says nothing about the machine, and passes.
    InUse(PathBuf),
}

impl Hindrance {
    /// Prints why a test is skipped.
    ///
    /// # Panics
    /// With `CI=true`, unless another program is there: no machine can promise that there is none.
    #[track_caller]
    pub fn skip(&self, what: &str) {
        let reason = format!("{what}: {self}");
        match self {
            Hindrance::Missing(_) => skip(&reason),
            Hindrance::InUse(_) => skip_even_in_ci(&reason),
        }
    }
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

/// A file that always exists, is the same for every process of the machine and is never removed.
const LOCKED: &str = "/sys/fs";

/// Waits until no other process plays on the kernel's hierarchies. No other begins before the end of this one.
///
/// # Errors
/// The reason why there is no lock.
pub fn take_turn() -> Result<(), String> {
    static TURN: OnceLock<Result<Flock<File>, String>> = OnceLock::new();
    TURN.get_or_init(lock).as_ref().map(|_| ()).map_err(Clone::clone)
}

fn lock() -> Result<Flock<File>, String> {
    let file = File::open(LOCKED).map_err(|error| format!("{LOCKED}: {error}"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .or_else(|(file, _)| {
            // no macro, whose output the test harness would show only at the end of the test
            let _ = writeln!(stderr(), "waiting: another process plays on the kernel's hierarchies");
            Flock::lock(file, FlockArg::LockExclusive)
        })
        .map_err(|(_, error)| format!("{LOCKED}: {error}"))
}

/// The hindrance if another program has a cgroup in the hierarchy of a controller.
///
/// The names of this process's own cgroups begin with `own`.
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
