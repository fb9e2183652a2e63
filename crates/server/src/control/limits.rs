//! The limits of clients.

use std::time::Duration;

use super::pool::PoolLimit;

/// Limits of a control socket, for all of its clients, for each user or for each connection.
///
/// The default is for a process that may open as many descriptors as it needs. [`Limits::of_descriptors`] makes the
/// limits of a process that may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of all users.
    pub connections: usize,
    /// How many of `connections` are reserved for the administrator.
    pub kept_for_root: usize,
    /// Connections of one user. The administrator is bound by `connections` only.
    pub connections_of_user: usize,
    /// Descriptors that clients make the daemon keep beside their connections. These are one for each watch, and those
    /// that came with a message, until the call is answered.
    pub descriptors: PoolLimit,
    /// Bytes of one message, without the NUL at its end.
    pub message: usize,
    /// Buffer bytes of all messages above 64 KiB that are being received.
    pub large_messages: PoolLimit,
    /// Bytes of all replies above 64 KiB that clients have not read yet.
    pub large_replies: PoolLimit,
    /// Descriptors with one message.
    pub files: usize,
    /// Events that may wait for one slow watcher. Further events are counted as lost.
    pub events: usize,
    /// Bytes of the events that may wait for one slow watcher.
    pub event_bytes_of_watcher: usize,
    /// Bytes of the events that wait for watchers. An event counts once for each user with a watcher that it waits for.
    pub event_bytes: PoolLimit,
    /// How long a client may take between two pieces of a message, and to make room for a reply.
    pub patience: Duration,
    /// Cgroups that one user may have made at a time, in all hierarchies. The administrator is not bound.
    pub cgroups_of_user: usize,
    /// Calls of one user that are waiting or being answered. The administrator is not bound.
    pub calls_of_user: usize,
    /// How long the method `Kill` waits for the processes of a cgroup to end.
    pub kill: Duration,
}

const MIB: usize = 1 << 20;

/// The descriptors that one connection can need: its socket, the process at the other end, and four for a call. A call
/// opens files of `/proc`, a directory, `/dev/null`.
const FOR_CONNECTION: usize = 6;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            kept_for_root: 64,
            connections_of_user: 1024,
            descriptors: PoolLimit::new(8192, 4096),
            message: MIB,
            large_messages: PoolLimit::new(64 * MIB, 16 * MIB),
            large_replies: PoolLimit::new(256 * MIB, 64 * MIB),
            files: 16,
            events: 1024,
            event_bytes_of_watcher: 4 * MIB,
            event_bytes: PoolLimit::new(64 * MIB, 16 * MIB),
            patience: Duration::from_secs(30),
            cgroups_of_user: 10_000,
            calls_of_user: 256,
            kill: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The limits of a process that may have `limit` descriptors and has `open` of them open.
    ///
    /// An eighth is the daemon's own. A quarter of the rest is for the descriptors that clients pass, and the rest for
    /// connections. From about 38,000 descriptors on these are the default limits.
    pub fn of_descriptors(limit: u64, open: usize) -> Limits {
        let default = Limits::default();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rest = (limit - limit / 8).saturating_sub(open);
        let passed = default.descriptors.all.min(rest / 4);
        let connections = default.connections.min((rest - rest / 4) / FOR_CONNECTION);
        let kept_for_root = default.kept_for_root.min(connections / 4);
        Limits {
            connections,
            kept_for_root,
            // more than one user is needed to take all that is not reserved
            connections_of_user: default.connections_of_user.min((connections - kept_for_root) / 2),
            descriptors: PoolLimit::new(passed, default.descriptors.of_user.min(passed / 2)),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most descriptors that clients can take under these limits.
    fn most(limits: &Limits) -> usize {
        limits.connections * FOR_CONNECTION + limits.descriptors.all
    }

    #[test]
    fn limits_leave_an_eighth_of_the_descriptors() {
        for (limit, open) in
            [(0, 0), (64, 10), (256, 20), (1024, 20), (4096, 100), (20_000, 20), (38_000, 20)]
        {
            let limits = Limits::of_descriptors(limit, open);
            assert!(most(&limits) + open <= (limit as usize - limit as usize / 8).max(open), "{limits:?}");
            assert!(limits.connections_of_user * 2 <= limits.connections - limits.kept_for_root);
        }
    }

    #[test]
    fn limits_without_want_of_descriptors_are_the_default() {
        for limit in [38_000, 1 << 20, u64::MAX] {
            assert_eq!(Limits::of_descriptors(limit, 20), Limits::default());
        }
    }
}
