//! What the engine knows of a directory or a control file, and how stat(2) shows it.

use std::fs;
use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use penfold_core::{CgroupId, Engine, Owner, control_file::FileId, host::HostView, tree::Cgroup};

/// How long the kernel may remember names and attributes. It is told of changes.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);

/// The size of a control file whose content is shorter. Linux shows 0 and its own sendfile(2) works with that; through
/// FUSE sendfile and splice stop where the reported size ends.
pub(super) const FILE_SIZE: u64 = 4096;
const BLOCK_SIZE: u32 = 4096;

/// A task number of at most seven digits, and a newline.
const LINE_LENGTH: u64 = 8;
/// A line of `cpuacct.usage_all` is shorter.
const CPU_LINE_LENGTH: usize = 64;

/// A directory or a control file as the engine has it.
#[derive(Debug, Clone)]
pub(super) struct NodeFacts {
    pub(super) ino: u64,
    pub(super) cgroup: CgroupId,
    /// `None` for the directory itself.
    pub(super) file: Option<FileId>,
    pub(super) owner: Owner,
    /// Of a directory: 2 and one more for each child.
    pub(super) links: u32,
    /// At least as long as the content is now; `None` if it lists every task of the machine.
    length: Option<u64>,
}

impl NodeFacts {
    /// `None` if the cgroup has been removed.
    pub(super) fn directory(engine: &Engine, cgroup: CgroupId) -> Option<NodeFacts> {
        let node = engine.tree().get(cgroup)?;
        let links = 2 + node.child_count() as u32;
        Some(NodeFacts {
            ino: directory_ino(node),
            cgroup,
            file: None,
            owner: node.owner(),
            links,
            length: Some(0),
        })
    }

    /// `None` if the cgroup or the file is gone.
    pub(super) fn file(
        engine: &Engine,
        host: &dyn HostView,
        cgroup: CgroupId,
        file: FileId,
    ) -> Option<NodeFacts> {
        let owner = engine.file_owner(cgroup, file).ok()?;
        let node = engine.tree().get(cgroup)?;
        let length = match file {
            FileId::Tasks | FileId::Procs if node.parent().is_none() => None,
            FileId::Tasks | FileId::Procs => Some(engine.tree().task_count(cgroup) as u64 * LINE_LENGTH),
            FileId::Subsystem { .. } => Some((host.cpu_limit() * CPU_LINE_LENGTH) as u64),
            _ => Some(FILE_SIZE),
        };
        Some(NodeFacts { ino: file_ino(node, file), cgroup, file: Some(file), owner, links: 1, length })
    }

    /// What a directory has under that name.
    pub(super) fn find(
        engine: &Engine,
        host: &dyn HostView,
        parent: CgroupId,
        name: &[u8],
    ) -> Option<NodeFacts> {
        engine.tree().get(parent)?;
        if let Some(child) = engine.tree().child(parent, name) {
            return NodeFacts::directory(engine, child);
        }
        let file = engine.find_file(parent, std::str::from_utf8(name).ok()?)?;
        NodeFacts::file(engine, host, parent, file)
    }

    /// The size to report for a file: nothing that is in it may lie beyond.
    pub(super) fn size(&self) -> u64 {
        if self.file.is_none() {
            return 0;
        }
        let length = self.length.unwrap_or_else(|| tasks_of_machine() * LINE_LENGTH);
        length.max(1).next_multiple_of(FILE_SIZE)
    }
}

/// As stat(2) shows it.
pub(super) fn attr(ino: u64, owner: Owner, links: u32, size: Option<u64>, times: FileTimes) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: size.unwrap_or(0),
        // as many as the size needs: cp(1) would take it for a file with holes
        blocks: size.unwrap_or(0) / 512,
        atime: times.accessed,
        mtime: times.modified,
        ctime: times.modified,
        crtime: times.modified,
        kind: if size.is_some() { FileType::RegularFile } else { FileType::Directory },
        perm: owner.mode as u16 & 0o7777,
        nlink: links,
        uid: owner.uid,
        gid: owner.gid,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// When something was last read and written, which nothing but utimensat(2) changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileTimes {
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
}

impl FileTimes {
    pub(super) fn now() -> FileTimes {
        let now = SystemTime::now();
        FileTimes { accessed: now, modified: now }
    }
}

pub(super) const ROOT_INO: u64 = 1;

/// The inode number of a directory, the same in every view of its hierarchy.
pub(super) fn directory_ino(cgroup: &Cgroup) -> u64 {
    if cgroup.parent().is_none() { ROOT_INO } else { cgroup.number() << 16 }
}

/// The inode number of a control file: that of the directory, and which of its files it is. A file of a subsystem that
/// was unloaded and loaded again has its old one.
pub(super) fn file_ino(cgroup: &Cgroup, file: FileId) -> u64 {
    let ordinal = match file {
        FileId::Procs => 1,
        FileId::Tasks => 2,
        FileId::NotifyOnRelease => 3,
        FileId::CloneChildren => 4,
        FileId::SaneBehavior => 5,
        FileId::ReleaseAgent => 6,
        // 64 slots of up to 1000 files
        FileId::Subsystem { slot, file, .. } => 16 + u64::from(slot) * 1000 + u64::from(file),
    };
    (cgroup.number() << 16) + ordinal
}

/// How many tasks the machine has, at least: the fourth field of `/proc/loadavg`.
fn tasks_of_machine() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let total = text.split_whitespace().nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
    total.unwrap_or(100_000)
}
