//! How much a client may have at once.

use std::time::Duration;

/// The bounds of a control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections altogether.
    pub connections: usize,
    /// How many of these only root can have.
    pub kept_for_root: usize,
    /// Connections of one user; root has no limit of its own.
    pub connections_of_user: usize,
    /// Bytes of one message, without the NUL at its end.
    pub message: usize,
    /// Bytes of all messages above 64 KiB that are being received.
    pub large_messages: usize,
    /// Descriptors with one message.
    pub files: usize,
    /// Events that wait for one slow client; what is above is counted as lost.
    pub events: usize,
    /// How long a message may take to arrive once it has begun, and how long a client may take to make room for an
    /// answer.
    pub patience: Duration,
    /// How long a cgroup may take to die.
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
            kill: Duration::from_secs(10),
        }
    }
}
