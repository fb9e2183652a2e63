//! Who is behind a request: its numbers are those of the namespaces of whoever mounted.

use std::fs;

use fuser::Request;
use nix::errno::Errno;
use penfold_core::Owner;

use crate::client::{Client, Trust};
use crate::failure::Failure;

/// What an id is shown as that the mounter's user namespace does not have.
const OVERFLOW_ID: u32 = 65534;

/// Translates ids of requests and attributes between the mounter's namespaces and the daemon's.
pub(super) struct RequestIdentity {
    trust: Trust,
    /// Where the mounter has another pid namespace.
    mounter: Option<Client>,
    users: IdMap,
    groups: IdMap,
}

impl RequestIdentity {
    pub(super) fn of(mounter: &Client, trust: Trust) -> RequestIdentity {
        let pid = mounter.caller.task.0;
        RequestIdentity {
            trust,
            mounter: mounter.translates().then(|| mounter.clone()),
            users: IdMap::read(&format!("/proc/{pid}/uid_map")),
            groups: IdMap::read(&format!("/proc/{pid}/gid_map")),
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
struct IdMap(Vec<Extent>);

#[derive(Debug, PartialEq, Eq)]
struct Extent {
    inside: u32,
    outside: u32,
    count: u32,
}

impl IdMap {
    fn read(path: &str) -> IdMap {
        IdMap::parse(&fs::read_to_string(path).unwrap_or_default())
    }

    fn parse(text: &str) -> IdMap {
        let extents = text.lines().filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok();
            Some(Extent { inside: next()?, outside: next()?, count: next()? })
        });
        let extents: Vec<Extent> = extents.collect();
        match extents.as_slice() {
            [Extent { inside: 0, outside: 0, count: u32::MAX }] => IdMap::default(),
            _ => IdMap(extents),
        }
    }

    fn outside(&self, id: u32) -> u32 {
        self.translate(id, |extent| (extent.inside, extent.outside))
    }

    fn inside(&self, id: u32) -> u32 {
        self.translate(id, |extent| (extent.outside, extent.inside))
    }

    fn translate(&self, id: u32, ends: impl Fn(&Extent) -> (u32, u32)) -> u32 {
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
        let identity = IdMap::parse("         0          0 4294967295\n");
        assert_eq!((identity.outside(1000), identity.inside(0)), (1000, 0));
        let container = IdMap::parse("0 1000 1\n1 100000 65536\n");
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
