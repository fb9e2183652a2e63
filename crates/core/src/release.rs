//! Release notification for cgroups that became empty and have `notify_on_release` set (C8, as in Linux 6.x).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::engine::Engine;
use crate::ids::CgroupId;
use crate::task::Credentials;

/// A cgroup that became empty and for which the host has to run the release agent: from [`Engine::take_release`].
///
/// The host starts the agent once, does not wait for it, and does not try again if that fails. The arguments are the
/// agent and the path. The environment has only `HOME=/` and `PATH=/sbin:/bin:/usr/sbin:/usr/bin` (C8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The path of the release agent of the hierarchy, any bytes but NUL.
    pub agent: Vec<u8>,
    /// The path of the cgroup from the root of its hierarchy.
    pub path: Vec<u8>,
    /// The number of the hierarchy.
    pub hierarchy: u32,
    /// The user and group that mounted the hierarchy first. The host runs the agent with their rights, if it can.
    pub mounter: Credentials,
}

/// The releases that the host has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct ReleaseQueue {
    waiting: VecDeque<(CgroupId, Release)>,
}

impl ReleaseQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Engine {
    /// Takes the oldest release that waits; `None` if there is none. The host then runs the agent.
    ///
    /// An exit, an attach and a rmdir can make a release; [`Engine::has_notifications`] says whether one waits.
    pub fn take_release(&mut self) -> Option<Release> {
        let (cgroup, release) = self.releases.waiting.pop_front()?;
        if let Some(cgroup) = self.tree.cgroups.get_mut(cgroup) {
            cgroup.release_queued = false;
        }
        Some(release)
    }

    /// Queues the cgroup if it is empty, has `notify_on_release` set and is not queued already.
    ///
    /// A root is never queued: it holds every task that is nowhere else.
    pub(crate) fn check_release(&mut self, id: CgroupId) {
        let cgroup = &self.tree[id];
        let due = cgroup.notify_on_release
            && cgroup.parent.is_some()
            && !cgroup.is_populated()
            && cgroup.children == 0
            && !cgroup.release_queued;
        let hierarchy = self.tree.hierarchy_of(id);
        if !due || hierarchy.release_agent.is_empty() {
            return;
        }
        let mounter = self.tree[hierarchy.root].creator;
        let release = Release {
            agent: hierarchy.release_agent.clone(),
            path: self.tree.path(id),
            hierarchy: hierarchy.id,
            mounter: Credentials { uid: mounter.uid, gid: mounter.gid },
        };
        self.releases.waiting.push_back((id, release));
        self.tree[id].release_queued = true;
    }
}
