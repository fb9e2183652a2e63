//! The messages between the tester and a member process: one JSON value per line.

use crate::ops::{FsAnswer, FsOp};
use serde::{Deserialize, Serialize};

/// A request to a member.
#[derive(Debug, Serialize, Deserialize)]
pub enum MemberRequest {
    /// A file operation.
    Fs(FsOp),
    /// Start a thread that does nothing.
    Thread,
    /// Fork a child that does nothing.
    Fork,
    /// Reap a child that was killed.
    Reap(i32),
    /// `setresuid`
    SetUids(u32, u32, u32),
    /// `sched_setaffinity` on itself.
    SetAffinity(Vec<usize>),
}

/// The reply to a request.
#[derive(Debug, Serialize, Deserialize)]
pub enum MemberReply {
    /// The request is done.
    Done,
    /// The result of a file operation.
    Fs(FsAnswer),
    /// The task that was made.
    Task(i32),
    /// The system call failed with this errno.
    Failed(i32),
}
