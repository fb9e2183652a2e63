//! Release notification: cgroups that became empty and asked for it (C8, as Linux 6.x does it).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::engine::Engine;
use crate::ids::CgroupId;
use crate::task::Credentials;

/// A cgroup to tell the release agent of. The host runs it, asynchronously and unretried, with `argv` =
/// {agent, path} and only `HOME=/` and `PATH=/sbin:/bin:/usr/sbin:/usr/bin` in the environment (C8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The program of the hierarchy, any bytes but NUL.
    pub agent: Vec<u8>,
    /// The cgroup's path from the root of its hierarchy.
    pub path: Vec<u8>,
    /// The number of the hierarchy.
    pub hierarchy: u32,
    /// User and group id of who mounted the hierarchy.
    pub mounter: Credentials,
}

/// Releases not yet taken by the host.
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
    /// The next release, oldest first.
    pub fn take_release(&mut self) -> Option<Release> {
        let (cgroup, release) = self.releases.waiting.pop_front()?;
        if let Some(cgroup) = self.tree.cgroups.get_mut(cgroup) {
            cgroup.release_queued = false;
        }
        Some(release)
    }

    /// Queues the cgroup if it is empty, wants it, and is not queued already. A root never is: it holds every
    /// task that is nowhere else.
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
