//! What the tester and a member process say to each other: one JSON value per line.

use crate::ops::{FsAnswer, FsOp};
use serde::{Deserialize, Serialize};

/// What a member is asked to do.
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

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum MemberReply {
    /// Done, nothing to tell.
    Done,
    /// What a file operation gave.
    Fs(FsAnswer),
    /// The task that was made.
    Task(i32),
    /// The system call failed with this errno.
    Failed(i32),
}
