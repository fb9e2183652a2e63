//! The limits of clients.

use std::time::Duration;

/// Limits of a control socket, for all of its clients or for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of all users.
    pub connections: usize,
    /// How many of `connections` are reserved for root.
    pub kept_for_root: usize,
    /// Connections of one user. Root is bound by `connections` only.
    pub connections_of_user: usize,
    /// Bytes of one message, without the NUL at its end.
    pub message: usize,
    /// Buffer bytes of all messages above 64 KiB that are being received.
    pub large_messages: usize,
    /// Descriptors with one message.
    pub files: usize,
    /// Events that may wait for one slow watcher. Further events are counted as lost.
    pub events: usize,
    /// How long a client may take between two pieces of a message, and to make room for a reply.
    pub patience: Duration,
    /// Cgroups that one user may have made at a time, in all hierarchies. The administrator is not bound.
    pub cgroups_of_user: usize,
    /// Calls of one user that are waiting or being answered. The administrator is not bound.
    pub calls_of_user: usize,
    /// How long the method `Kill` waits for the processes of a cgroup to end.
    pub kill: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            kept_for_root: 64,
            connections_of_user: 1024,
            message: 1 << 20,
            large_messages: 64 << 20,
            files: 16,
            events: 1024,
            patience: Duration::from_secs(30),
            cgroups_of_user: 10_000,
            calls_of_user: 256,
            kill: Duration::from_secs(10),
        }
    }
}
