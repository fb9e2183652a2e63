//! The client behind a request. The kernel sends user, group and task numbers of the mounter's namespaces.
//!
//! The mount's user namespace is the mounter's: mount(2) refuses a `/dev/fuse` that was opened in another one. So a
//! request has ids of that namespace, and an answer must have them too. Where daemon and mounter share it, ids pass as
//! they are.

use fuser::Request;
use nix::errno::Errno;
use penfold_core::{ErrorKind, Owner};
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
            users: IdMap::new(uid_map(task)),
            groups: IdMap::new(gid_map(task)),
        }
    }

    /// The client that sent a request.
    pub(super) fn client(&self, request: &Request) -> Client {
        let user = self.users.outside(request.uid()).unwrap_or(OVERFLOW_ID);
        let group = self.groups.outside(request.gid()).unwrap_or(OVERFLOW_ID);
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
        let inside = |ids: &IdMap, id| ids.inside(id).unwrap_or(OVERFLOW_ID);
        Owner { uid: inside(&self.users, owner.uid), gid: inside(&self.groups, owner.gid), ..owner }
    }

    /// The daemon's number of a user id that a request sets.
    ///
    /// # Errors
    /// `EOVERFLOW` if it has none, as chown(2) in a file system of a user namespace without that id.
    pub(super) fn user(&self, inside: u32) -> Result<u32, Failure> {
        self.users.outside(inside).ok_or_else(|| no_number("uid", inside))
    }

    /// The daemon's number of a group id that a request sets.
    ///
    /// # Errors
    /// As [`RequestIdentity::user`].
    pub(super) fn group(&self, inside: u32) -> Result<u32, Failure> {
        self.groups.outside(inside).ok_or_else(|| no_number("gid", inside))
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

fn no_number(kind: &str, id: u32) -> Failure {
    let detail = "has no number in the daemon's user namespace";
    Failure::new(ErrorKind::InvalidArgument, Errno::EOVERFLOW, format!("{kind} {id}"), detail)
}

/// The ids of the mounter's user namespace and the daemon's numbers of them; `None` where both have the same numbers.
#[derive(Debug, PartialEq, Eq)]
struct IdMap(Option<Vec<IdExtent>>);

impl IdMap {
    /// The map of a mounter; without one, since the mounter has ended, ids are taken as they are.
    fn new(extents: Option<Vec<IdExtent>>) -> IdMap {
        const SAME: &[IdExtent] = &[IdExtent { inside: 0, outside: 0, count: u32::MAX }];
        IdMap(extents.filter(|extents| extents != SAME))
    }

    fn outside(&self, id: u32) -> Option<u32> {
        self.translate(id, |extent| (extent.inside, extent.outside))
    }

    fn inside(&self, id: u32) -> Option<u32> {
        self.translate(id, |extent| (extent.outside, extent.inside))
    }

    fn translate(&self, id: u32, ends: impl Fn(&IdExtent) -> (u32, u32)) -> Option<u32> {
        let Some(extents) = &self.0 else { return Some(id) };
        extents.iter().find_map(|extent| {
            let (from, to) = ends(extent);
            let offset = id.checked_sub(from).filter(|offset| *offset < extent.count)?;
            to.checked_add(offset)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(extents: &[(u32, u32, u32)]) -> IdMap {
        let extent = |&(inside, outside, count): &_| IdExtent { inside, outside, count };
        IdMap::new(Some(extents.iter().map(extent).collect()))
    }

    #[test]
    fn ids_are_translated_both_ways() {
        let identity = map(&[(0, 0, 4_294_967_295)]);
        assert_eq!((identity.outside(1000), identity.inside(0)), (Some(1000), Some(0)));
        let container = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        let outside = [0, 1, 1000, 70_000].map(|id| container.outside(id));
        assert_eq!(outside, [Some(1000), Some(100_000), Some(100_999), None]);
        let inside = [1000, 100_001, 0].map(|id| container.inside(id));
        assert_eq!(inside, [Some(0), Some(2), None]);
    }

    #[test]
    fn namespaces_without_a_common_id_share_none() {
        let none = map(&[]);
        assert_eq!((none.outside(0), none.inside(0)), (None, None));
    }

    #[test]
    fn mounter_that_is_gone_leaves_ids_as_they_are() {
        assert_eq!(IdMap::new(None).outside(7), Some(7));
    }
}
