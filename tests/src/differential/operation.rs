//! The operations on both sides, as plain data, so that a sequence can be printed, cut down and replayed.

use super::byte_string::ByteString;
use serde::{Deserialize, Serialize};

/// The process that performs a file operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// User 0.
    Root,
    /// User and group 65534, nothing else.
    User,
}

/// Both operators.
pub const OPERATORS: [Operator; 2] = [Operator::Root, Operator::User];

impl Operator {
    /// The name in templates and normalised lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
        }
    }
}

/// The directory at which a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseDir {
    /// The side's root directory.
    Root,
    /// The operator's working directory.
    Cwd,
    /// A directory that the operator holds open.
    Handle(u32),
}

/// A path, relative to a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathAt {
    /// The start.
    pub at: BaseDir,
    /// The path; no leading slash.
    pub path: ByteString,
}

impl PathAt {
    /// Whether the path is of one of the two files that take and list process numbers.
    pub fn is_membership(&self) -> bool {
        let name = self.path.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
        name == b"tasks" || name == b"cgroup.procs"
    }
}

/// A kind of file that no user may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKind {
    /// An ordinary file.
    Regular,
    /// A named pipe.
    Fifo,
    /// A character device with number 0.
    Device,
}

/// One file operation. Each is one system call, perhaps after an open of the file.
///
/// Data to be written may hold templates:
///
/// * `{a1}` is the pid of actor a1, `{a1.t1}` the tid of its thread t1, `{root}` the pid of the operator;
/// * `{a1:x}` and `{a1:o}` are the same in base 16 and 8;
/// * `{agent}` is the path of the side's release agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the arguments of the system call of that name
pub enum FileCall {
    Mkdir {
        place: PathAt,
        mode: u32,
    },
    Rmdir {
        place: PathAt,
    },
    Rename {
        from: PathAt,
        to: PathAt,
        flags: u32,
    },
    Unlink {
        place: PathAt,
    },
    Symlink {
        place: PathAt,
    },
    Link {
        from: PathAt,
        place: PathAt,
    },
    Mknod {
        place: PathAt,
        kind: NodeKind,
    },
    Chmod {
        place: PathAt,
        mode: u32,
    },
    Chown {
        place: PathAt,
        uid: Option<u32>,
        gid: Option<u32>,
    },
    Access {
        place: PathAt,
        mode: i32,
    },
    Stat {
        place: PathAt,
    },
    Truncate {
        place: PathAt,
        len: i64,
    },
    /// Lists through a buffer of this many bytes.
    List {
        place: PathAt,
        buffer: usize,
    },
    /// Opens and reads to the end, with buffers of these sizes in turn.
    Read {
        place: PathAt,
        sizes: Vec<usize>,
    },
    /// Opens with these flags and writes once.
    Write {
        place: PathAt,
        flags: i32,
        data: ByteString,
    },
    /// Opens with raw flags (`O_*`) and keeps the file under a handle that is used once only.
    Open {
        handle: u32,
        place: PathAt,
        flags: i32,
        mode: u32,
    },
    HandleRead {
        handle: u32,
        len: usize,
    },
    HandlePread {
        handle: u32,
        len: usize,
        offset: i64,
    },
    HandleWrite {
        handle: u32,
        data: ByteString,
    },
    HandlePwrite {
        handle: u32,
        data: ByteString,
        offset: i64,
    },
    HandleWritev {
        handle: u32,
        parts: Vec<ByteString>,
    },
    HandleSeek {
        handle: u32,
        offset: i64,
        whence: i32,
    },
    HandleStat {
        handle: u32,
    },
    HandleTruncate {
        handle: u32,
        len: i64,
    },
    HandleChmod {
        handle: u32,
        mode: u32,
    },
    HandleList {
        handle: u32,
        buffer: usize,
    },
    Close {
        handle: u32,
    },
    Chdir {
        place: PathAt,
    },
    Umask {
        mask: u32,
    },
    /// Shows every directory and file below the root with everything visible of it.
    Tree,
    /// Sends a copy of an open file to the other operator.
    Send {
        handle: u32,
    },
    /// Receives the copy.
    Receive {
        handle: u32,
    },
}

impl FileCall {
    /// The paths, in the order of the system call's arguments.
    pub fn places(&self) -> Vec<&PathAt> {
        match self {
            Self::Rename { from, to: place, .. } | Self::Link { from, place } => vec![from, place],
            Self::Mkdir { place, .. }
            | Self::Rmdir { place }
            | Self::Unlink { place }
            | Self::Symlink { place }
            | Self::Mknod { place, .. }
            | Self::Chmod { place, .. }
            | Self::Chown { place, .. }
            | Self::Access { place, .. }
            | Self::Stat { place }
            | Self::Truncate { place, .. }
            | Self::List { place, .. }
            | Self::Read { place, .. }
            | Self::Write { place, .. }
            | Self::Open { place, .. }
            | Self::Chdir { place } => vec![place],
            _ => vec![],
        }
    }

    /// The data to be written, for templates to be filled in.
    pub fn data_mut(&mut self) -> Vec<&mut ByteString> {
        match self {
            Self::Write { data, .. } | Self::HandleWrite { data, .. } | Self::HandlePwrite { data, .. } => {
                vec![data]
            }
            Self::HandleWritev { parts, .. } => parts.iter_mut().collect(),
            _ => vec![],
        }
    }
}

/// An act of an actor, a process that is made to be a member, or an event that it undergoes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // names of actors and their threads throughout
pub enum Act {
    /// A new process whose parent is no actor.
    Start { user: bool },
    /// Makes a child that is an actor of its own.
    Fork { child: String },
    /// Starts a thread.
    Thread { thread: String },
    /// Ends a thread.
    EndThread { thread: String },
    /// Executes its program anew, from the first thread or from another one.
    Exec { thread: Option<String> },
    /// Exits; a zombie stays.
    Exit,
    /// The parent waits for the zombie.
    Reap,
    /// Sets the affinity of its first thread.
    SetAffinity { cpus: Vec<usize> },
    /// Uses some 20 ms of CPU time.
    Burn,
    /// Shows state and affinity of every thread.
    Look,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SideOperation {
    /// A file operation.
    Call(Operator, FileCall),
    /// The operator passes an open file to the other.
    Pass(Operator, u32),
    /// An act of an actor.
    Act(String, Act),
    /// Waits until both sides have the same calls of release agents, and still have after a moment.
    Releases,
}
