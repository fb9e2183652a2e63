//! Reaping children that no other code waits for.
//!
//! A child subreaper gets every orphan of its descendants. The tracer reaps the orphans that it traces. An orphan that
//! a release agent left behind has no tracer and would stay a zombie.

use std::collections::HashSet;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use penfold_core::Tid;

use crate::proc::{StatusFile, own_children, start_time};

/// The zombies that the last call has seen. A new value has seen none.
#[derive(Debug, Default)]
pub struct Orphans {
    seen: HashSet<(i32, u64)>,
}

impl Orphans {
    /// Reaps every zombie that the last call has seen already. To be called every few seconds.
    ///
    /// A thread with a child of its own to wait for reaps it sooner, so a zombie that stays has no such thread. A
    /// zombie with a tracer is the tracer's.
    pub fn reap(&mut self) {
        let zombies = zombies();
        for &(pid, _) in zombies.intersection(&self.seen) {
            // a zombie that was reaped meanwhile is gone, and its number is not used again within this call
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
        self.seen = zombies;
    }
}

/// The zombies among the children of this process that have no tracer, with their start times.
fn zombies() -> HashSet<(i32, u64)> {
    let is_dead = |child: &Tid| {
        let status = StatusFile::read(*child)?;
        Some(status.state()? == 'Z' && status.is_untraced()?)
    };
    let children = own_children().into_iter();
    let dead = children.filter(|child| is_dead(child) == Some(true));
    dead.filter_map(|pid| Some((pid.0, start_time(pid)?))).collect()
}
