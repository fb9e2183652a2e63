//! What comes of an operation.

use super::byte_string::ByteString;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// What can be seen of a file without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Type and permissions.
    pub mode: String,
    /// Links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: i64,
    /// Preferred size of reads.
    pub blksize: i64,
    /// Blocks of 512 bytes.
    pub blocks: i64,
}

/// A part of [`OperationOutcome::Tree`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeNode {
    /// From the root; empty for the root.
    pub path: ByteString,
    /// Or the errno of stat.
    pub status: Result<Status, String>,
    /// What reading it gives; for a directory its names.
    pub content: Box<OperationOutcome>,
}

/// The result of an operation, as both sides are compared by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationOutcome {
    /// The system call failed with this errno.
    Failed(String),
    /// Nothing but success.
    Done,
    /// Bytes taken by a write, or a new file offset.
    Count(u64),
    /// Content, as the sequence of what each read gave.
    Bytes(Vec<ByteString>),
    /// All of a file that lists process numbers.
    Members {
        /// What each read gave.
        pieces: Vec<ByteString>,
        /// Is it the list of the root, which on the kernel has every process of the machine?
        root: bool,
    },
    /// A part of such a file, or one read from a file that was open already.
    MembersPart {
        /// What the read gave.
        bytes: ByteString,
        /// As in `Members`.
        root: bool,
    },
    /// An offset in such a file.
    MembersOffset {
        /// From the beginning.
        offset: u64,
        /// As in `Members`.
        root: bool,
    },
    /// Members by name, in order of name; `ordered` says whether the numbers were ascending, one to a line.
    Names {
        /// Actors, their threads, operators; `?` for a number that belongs to none of them.
        names: Vec<String>,
        /// Was the text what the kernel makes?
        ordered: bool,
        /// Bytes of each read.
        lengths: Vec<usize>,
    },
    /// Names in a directory with the letter of their type, sorted.
    Entries(Vec<(ByteString, char)>),
    /// stat(2).
    Status(Status),
    /// Everything.
    Tree(Vec<TreeNode>),
    /// Lines about an actor.
    Lines(Vec<String>),
    /// An actor was asked and can't answer because it is frozen.
    Stuck,
    /// There is nobody to do it, or it is not safe to be done.
    Skipped,
}

impl OperationOutcome {
    /// A failed system call.
    pub fn failed(errno: Errno) -> Self {
        Self::Failed(format!("{errno:?}"))
    }
}

impl<T: Into<OperationOutcome>> From<nix::Result<T>> for OperationOutcome {
    fn from(result: nix::Result<T>) -> Self {
        result.map_or_else(Self::failed, Into::into)
    }
}

impl From<()> for OperationOutcome {
    fn from((): ()) -> Self {
        Self::Done
    }
}
