//! The outcome of an operation.

use super::byte_string::ByteString;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The part of stat(2) that is compared.
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
    /// The path from the root; empty for the root.
    pub path: ByteString,
    /// The result of stat(2), or the name of its errno.
    pub status: Result<Status, String>,
    /// The content; for a directory its names.
    pub content: Box<OperationOutcome>,
}

/// The result of an operation, by which both sides are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationOutcome {
    /// The system call failed with this errno.
    Failed(String),
    /// Nothing but success.
    Done,
    /// Bytes taken by a write, or a new file offset.
    Count(u64),
    /// Content, in the pieces of each read.
    Bytes(Vec<ByteString>),
    /// All of a file that lists process numbers.
    Members {
        /// The piece of each read.
        pieces: Vec<ByteString>,
        /// Whether the list is that of the root, which on the kernel has every process of the machine.
        root: bool,
    },
    /// A part of such a file, or one read from a file that was open already.
    MembersPart {
        /// The bytes of the read.
        bytes: ByteString,
        /// As in `Members`.
        root: bool,
    },
    /// An offset in such a file.
    MembersOffset {
        /// The offset from the beginning.
        offset: u64,
        /// As in `Members`.
        root: bool,
    },
    /// Members by name, in order of name; `ordered` says whether the numbers were ascending, one to a line.
    Names {
        /// Actors, their threads, operators; `?` for a number that belongs to none of them.
        names: Vec<String>,
        /// Whether the text was ascending numbers, one to a line, as the kernel makes it.
        ordered: bool,
        /// Bytes of each read.
        lengths: Vec<usize>,
    },
    /// Names in a directory with the letter of their type, sorted.
    Entries(Vec<(ByteString, char)>),
    /// stat(2).
    Status(Status),
    /// Every directory and file below the root.
    Tree(Vec<TreeNode>),
    /// Lines about an actor.
    Lines(Vec<String>),
    /// An actor can't reply because it is frozen.
    Stuck,
    /// The step is skipped: its process does not exist, or the step is not safe.
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
