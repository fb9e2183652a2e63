//! The client behind a request. The kernel sends user, group and task numbers of the mounter's namespaces.

use fuser::Request;
use nix::errno::Errno;
use penfold_core::Owner;
use penfold_linux::proc::{IdExtent, gid_map, uid_map};

use crate::client::{Client, Trust};
use crate::failure::Failure;

/// The id that stands for one without a number in the mounter's user namespace, as in Linux.
const OVERFLOW_ID: u32 = 65534;

/// Translates ids of requests and attributes between the mounter's namespaces and the daemon's.
pub(super) struct RequestIdentity {
    trust: Trust,
    /// The mounter, if its pid namespace is not the daemon's.
    mounter: Option<Client>,
    users: IdMap,
    groups: IdMap,
}

impl RequestIdentity {
    /// The translation for a view that `mounter` has mounted.
    pub(super) fn of(mounter: &Client, trust: Trust) -> RequestIdentity {
        let task = mounter.caller.task;
        RequestIdentity {
            trust,
            mounter: mounter.translates().then(|| mounter.clone()),
            users: IdMap::new(uid_map(task).unwrap_or_default()),
            groups: IdMap::new(gid_map(task).unwrap_or_default()),
        }
    }

    /// The client that sent a request.
    pub(super) fn client(&self, request: &Request) -> Client {
        let user = self.users.outside(request.uid());
        let group = self.groups.outside(request.gid());
        Client::of_view(self.trust, self.task(request), user, group)
    }

    /// The task that sent a request, in the daemon's numbers; -1, which no task has, if it has no number in the
    /// mounter's pid namespace.
    pub(super) fn task(&self, request: &Request) -> i32 {
        let pid = request.pid().cast_signed();
        match &self.mounter {
            Some(mounter) if pid != 0 => mounter.task(pid).map_or(-1, |task| task.0),
            _ if pid == 0 => -1,
            _ => pid,
        }
    }

    /// An owner in numbers of the mounter's user namespace.
    pub(super) fn shown(&self, owner: Owner) -> Owner {
        Owner { uid: self.users.inside(owner.uid), gid: self.groups.inside(owner.gid), ..owner }
    }

    /// The daemon's number of a user id in a request.
    pub(super) fn user(&self, inside: u32) -> u32 {
        self.users.outside(inside)
    }

    /// The daemon's number of a group id in a request.
    pub(super) fn group(&self, inside: u32) -> u32 {
        self.groups.outside(inside)
    }

    /// Runs `act` as the client that sent a request.
    ///
    /// The supplementary groups are read only if `act` is refused without them, and then `act` runs again. The kernel
    /// has checked owner and mode with all groups already. The check here only finds owners and modes that have changed
    /// since.
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

/// A `/proc/PID/uid_map` or `gid_map`; empty for a namespace with the same numbers.
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
    fn ids_are_translated_both_ways() {
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
