//! The attributes of directories and control files: from the engine to stat(2).

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use penfold_core::{CgroupId, Engine, Owner, control_file::FileId, host::HostView, tree::Cgroup};
use penfold_linux::proc::load_average;

/// How long the kernel may cache names and attributes. The view reports their changes to it.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);

/// The size of a control file whose content is shorter, in bytes. Linux shows 0, and its own sendfile(2) works with
/// that. Through FUSE, sendfile(2) and splice(2) stop at the reported size.
pub(super) const FILE_SIZE: u64 = 4096;
const BLOCK_SIZE: u32 = 4096;

/// The longest line of `tasks`: a task number of seven digits and a newline.
const LINE_LENGTH: u64 = 8;
/// More than a line of `cpuacct.usage_all` has.
const CPU_LINE_LENGTH: usize = 64;

/// The state of a directory or a control file in the engine.
#[derive(Debug, Clone)]
pub(super) struct NodeFacts {
    pub(super) ino: u64,
    pub(super) cgroup: CgroupId,
    /// `None` for the directory itself.
    pub(super) file: Option<FileId>,
    pub(super) owner: Owner,
    /// The number of links: for a directory 2, and one more for each child.
    pub(super) links: u32,
    /// An upper bound of the content's length in bytes; `None` for a file that lists every task of the machine.
    length: Option<u64>,
}

impl NodeFacts {
    /// The state of a directory; `None` if the cgroup has been removed.
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

    /// The state of a control file; `None` if the cgroup or the file is gone.
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

    /// The state of the entry of a directory with this name; `None` if there is none.
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

    /// The size to report for a file, in bytes. No byte of the content may lie beyond it.
    pub(super) fn size(&self) -> u64 {
        if self.file.is_none() {
            return 0;
        }
        let length = self.length.unwrap_or_else(|| tasks_of_machine() * LINE_LENGTH);
        length.max(1).next_multiple_of(FILE_SIZE)
    }
}

/// Attributes as stat(2) shows them. A directory has no `size`.
pub(super) fn attr(ino: u64, owner: Owner, links: u32, size: Option<u64>, times: FileTimes) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: size.unwrap_or(0),
        // as many blocks as the size needs, or cp(1) would take it for a file with holes
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

/// The times of a node: the moment when the kernel learned of it, until utimensat(2) sets others.
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

/// The inode number of the root of a view.
pub(super) const ROOT_INO: u64 = 1;

/// The inode number of a directory, the same in every view of its hierarchy.
pub(super) fn directory_ino(cgroup: &Cgroup) -> u64 {
    if cgroup.parent().is_none() { ROOT_INO } else { cgroup.number() << 16 }
}

/// The inode number of a control file: the number of its cgroup and the file's place among its files. A file keeps it
/// when its subsystem is unloaded and loaded again.
pub(super) fn file_ino(cgroup: &Cgroup, file: FileId) -> u64 {
    (cgroup.number() << 16) + file.number()
}

/// The number of tasks of the machine: the fourth field of `/proc/loadavg`. 100,000 if that can't be read.
fn tasks_of_machine() -> u64 {
    load_average().map_or(100_000, |load| load.tasks)
}
