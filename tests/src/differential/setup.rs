//! Prepares sides and pairs of sides.

use super::allowed_differences::{MEANT, NOTHING};
use super::kernel_side::{KernelController, KernelNamedHierarchy};
use super::penfold_side::PenfoldMount;
use super::profile::Profile;
use super::side::{Side, SideMount};
use super::side_pair::SidePair;
use super::sweep::start_reaper;
use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The thread's number, and the numbers of left and right work directories that it has made.
    static WORK_DIRS: (u32, [Cell<u32>; 2]) = (THREADS.fetch_add(1, Ordering::Relaxed), [Cell::new(0), Cell::new(0)]);
}

/// The system behind a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideKind {
    /// The kernel's cgroup v1.
    Kernel,
    /// Penfold's file view.
    Penfold,
}

/// The first letters of the names of work directories. The pid of the test and an `x` follow.
pub(super) const PREFIX: &str = "pfdiff";

/// The last letters of the work directories of the two sides.
///
/// The paths of the two differ in nothing else, and nothing else that is read has these letters. So even a part of a
/// path can be compared.
pub(super) const MARKS: [char; 2] = ['+', '='];

/// The work directory of a side, removed on drop.
#[derive(Debug)]
pub struct WorkDir(PathBuf);

impl WorkDir {
    /// Makes a directory that every user can enter, with a name that no other on this machine has.
    ///
    /// A left one and a right one that are made in turn have the same name but for the mark.
    pub fn make(right: bool) -> io::Result<Self> {
        // counted for each thread, since tests that run at the same time make pairs too
        let (thread, number) = WORK_DIRS.with(|(thread, made)| {
            let number = made[usize::from(right)].get();
            made[usize::from(right)].set(number + 1);
            (*thread, number)
        });
        let mark = MARKS[usize::from(right)];
        let name = format!("{PREFIX}{}x{thread:02}{number:03}{mark}", std::process::id());
        let work_dir = std::env::temp_dir().join(name);
        fs::create_dir(&work_dir)?;
        fs::set_permissions(&work_dir, fs::Permissions::from_mode(0o755))?;
        Ok(Self(work_dir))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory's name as part of names of hierarchies and groups, which have letters and digits only.
    pub fn unique(&self) -> String {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        name.replace(MARKS[0], "l").replace(MARKS[1], "r")
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A side for sequences of a profile. `helper` is this package's program `differential`.
pub fn side(kind: SideKind, right: bool, profile: Profile, helper: &Path) -> io::Result<Side> {
    let work_dir = WorkDir::make(right)?;
    let mounted: Box<dyn SideMount> = match (kind, profile.controller()) {
        (SideKind::Penfold, controller) => Box::new(PenfoldMount::start(controller, &work_dir)?),
        (SideKind::Kernel, None) => Box::new(KernelNamedHierarchy::mount(&work_dir)?),
        (SideKind::Kernel, Some(controller)) => Box::new(KernelController::find(controller, &work_dir)?),
    };
    Side::new(mounted, work_dir, helper)
}

/// Two sides of the kernel, which show whether the harness sees differences where there are none.
pub fn kernel_pair(profile: Profile, helper: &Path) -> io::Result<SidePair> {
    pair([SideKind::Kernel, SideKind::Kernel], profile, helper)
}

/// A side of the kernel and one of penfold.
pub fn penfold_pair(profile: Profile, helper: &Path) -> io::Result<SidePair> {
    pair([SideKind::Kernel, SideKind::Penfold], profile, helper)
}

fn pair(kinds: [SideKind; 2], profile: Profile, helper: &Path) -> io::Result<SidePair> {
    start_reaper(helper)?;
    // this process becomes the parent of orphaned actors
    nix::sys::prctl::set_child_subreaper(true)?;
    let (mut left, mut right) =
        (side(kinds[0], false, profile, helper)?, side(kinds[1], true, profile, helper)?);
    let with_penfold = kinds.contains(&SideKind::Penfold);
    if with_penfold {
        left.spare_frozen();
        right.spare_frozen();
    }
    let reaps_at_once = with_penfold && profile.charges_zombies();
    let allowed = if with_penfold { MEANT } else { NOTHING };
    Ok(SidePair { left, right, profile, reaps_at_once, allowed, perturbation: None })
}
