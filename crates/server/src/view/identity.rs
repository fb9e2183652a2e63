//! Who is behind a request: its numbers are those of the namespaces of whoever mounted.

use fuser::Request;
use nix::errno::Errno;
use penfold_core::Owner;
use penfold_linux::proc::{IdExtent, gid_map, uid_map};

use crate::client::{Client, Trust};
use crate::failure::Failure;

/// What an id is shown as that the mounter's user namespace does not have.
const OVERFLOW_ID: u32 = 65534;

/// Translates ids of requests and attributes between the mounter's namespaces and the daemon's.
pub(super) struct Identity {
    trust: Trust,
    /// Where the mounter has another pid namespace.
    mounter: Option<Client>,
    users: IdMap,
    groups: IdMap,
}

impl Identity {
    pub(super) fn of(mounter: &Client, trust: Trust) -> Identity {
        let task = mounter.caller.task;
        Identity {
            trust,
            mounter: mounter.translates().then(|| mounter.clone()),
            users: IdMap::new(uid_map(task).unwrap_or_default()),
            groups: IdMap::new(gid_map(task).unwrap_or_default()),
        }
    }

    /// Who sent a request. 0 as its task is one that the mounter's namespace does not have: it is nobody then.
    pub(super) fn client(&self, request: &Request) -> Client {
        let user = self.users.outside(request.uid());
        let group = self.groups.outside(request.gid());
        Client::of_view(self.trust, self.task(request), user, group)
    }

    /// The task that sent a request, in the daemon's numbers.
    pub(super) fn task(&self, request: &Request) -> i32 {
        let pid = request.pid().cast_signed();
        match &self.mounter {
            Some(mounter) if pid != 0 => mounter.task(pid).map_or(-1, |task| task.0),
            _ if pid == 0 => -1,
            _ => pid,
        }
    }

    /// An owner as the mounter's namespace knows it.
    pub(super) fn shown(&self, owner: Owner) -> Owner {
        Owner { uid: self.users.inside(owner.uid), gid: self.groups.inside(owner.gid), ..owner }
    }

    /// A user id that a request names.
    pub(super) fn user(&self, inside: u32) -> u32 {
        self.users.outside(inside)
    }

    /// A group id that a request names.
    pub(super) fn group(&self, inside: u32) -> u32 {
        self.groups.outside(inside)
    }

    /// Does something as who asks. The supplementary groups are fetched when it is refused without them: the kernel has
    /// checked owner and mode with all groups already, what is checked here again is whether they are still the same.
    pub(super) fn as_client<R>(
        &self,
        request: &Request,
        mut act: impl FnMut(&Client) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let mut client = self.client(request);
        match act(&client) {
            Err(failure)
                if matches!(failure.errno, Errno::EACCES | Errno::EPERM)
                    && !client.caller.privileged
                    && client.fetch_groups() =>
            {
                act(&client)
            }
            answer => answer,
        }
    }
}

/// A `/proc/PID/uid_map` or `gid_map`; empty for the identity.
#[derive(Debug, Default, PartialEq, Eq)]
struct IdMap(Vec<IdExtent>);

impl IdMap {
    fn new(extents: Vec<IdExtent>) -> IdMap {
        match extents.as_slice() {
            [IdExtent { inside: 0, outside: 0, count: u32::MAX }] => IdMap::default(),
            _ => IdMap(extents),
        }
    }

    fn outside(&self, id: u32) -> u32 {
        self.translate(id, |extent| (extent.inside, extent.outside))
    }

    fn inside(&self, id: u32) -> u32 {
        self.translate(id, |extent| (extent.outside, extent.inside))
    }

    fn translate(&self, id: u32, ends: impl Fn(&IdExtent) -> (u32, u32)) -> u32 {
        if self.0.is_empty() {
            return id;
        }
        let translated = self.0.iter().find_map(|extent| {
            let (from, to) = ends(extent);
            let offset = id.checked_sub(from).filter(|offset| *offset < extent.count)?;
            to.checked_add(offset)
        });
        translated.unwrap_or(OVERFLOW_ID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_both_ways() {
        let map = |extents: &[(u32, u32, u32)]| {
            let extent = |&(inside, outside, count): &_| IdExtent { inside, outside, count };
            IdMap::new(extents.iter().map(extent).collect())
        };
        let identity = map(&[(0, 0, 4_294_967_295)]);
        assert_eq!((identity.outside(1000), identity.inside(0)), (1000, 0));
        let container = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        assert_eq!(
            (container.outside(0), container.outside(1), container.outside(1000)),
            (1000, 100_000, 100_999)
        );
        assert_eq!(
            (container.inside(1000), container.inside(100_001), container.inside(0)),
            (0, 2, OVERFLOW_ID)
        );
        assert_eq!(container.outside(70_000), OVERFLOW_ID);
    }
}
