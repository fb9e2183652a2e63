//! Reaping what nobody waits for.
//!
//! A host that is a child subreaper is handed every orphan of its descendants. Its tracer reaps those that it traces;
//! what a release agent left in the background is traced by nobody and would stay a zombie.

use std::collections::HashSet;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use penfold_core::Tid;

use crate::proc::{StatusFile, own_children, start_time};

/// Zombies that were there at the last look.
#[derive(Debug, Default)]
pub struct Orphans {
    seen: HashSet<(i32, u64)>,
}

impl Orphans {
    /// Reaps zombies that were there at the last look already: whoever has a child of its own to wait for does it
    /// sooner, and a tracee belongs to its tracer. To be called every few seconds.
    pub fn reap(&mut self) {
        let zombies = zombies();
        for &(pid, _) in zombies.intersection(&self.seen) {
            // reaped by somebody else meanwhile: it is gone, and its number is not in use again within this call
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
        self.seen = zombies;
    }
}

/// The zombies among the children of this process that nobody traces, with their start times.
fn zombies() -> HashSet<(i32, u64)> {
    let is_dead = |child: &Tid| {
        let status = StatusFile::read(*child)?;
        Some(status.state()? == 'Z' && status.is_untraced()?)
    };
    let children = own_children().into_iter();
    let dead = children.filter(|child| is_dead(child) == Some(true));
    dead.filter_map(|pid| Some((pid.0, start_time(pid)?))).collect()
}
