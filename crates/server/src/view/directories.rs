//! Listings of directories.

use std::sync::{Mutex, PoisonError};

use fuser::FileType;
use penfold_core::{CgroupId, Engine, control_file::FileId, tree::ChildCursor};

use super::attributes::{ROOT_INO, directory_ino, file_ino};
use crate::service::Service;
use crate::slices::{Counts, Slice};

/// An open directory.
pub(super) struct OpenDirectory {
    pub(super) cgroup: CgroupId,
    entries: Mutex<Vec<DirectoryEntry>>,
}

/// An entry of a listing.
pub(super) struct DirectoryEntry {
    pub(super) ino: u64,
    pub(super) kind: FileType,
    pub(super) name: Box<[u8]>,
}

impl OpenDirectory {
    pub(super) fn new(cgroup: CgroupId) -> OpenDirectory {
        OpenDirectory { cgroup, entries: Mutex::default() }
    }

    /// Passes the entries from index `from` on to `pass`, with the index of the next one, until `pass` returns false.
    /// The first read, and a rewind, call `picture` for new entries; others go on with the entries of then.
    pub(super) fn entries(
        &self,
        from: u64,
        picture: impl FnOnce() -> Vec<DirectoryEntry>,
        mut pass: impl FnMut(u64, &DirectoryEntry) -> bool,
    ) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if from == 0 {
            *entries = picture();
        }
        for (index, entry) in entries.iter().enumerate().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            if !pass(index as u64 + 1, entry) {
                return;
            }
        }
    }
}

/// The entries of a directory; empty for a removed one. Directories with very many children are read in slices, so a
/// child that is made meanwhile may be there or not.
pub(super) fn picture(service: &Service, cgroup: CgroupId) -> Vec<DirectoryEntry> {
    let mut children = ChildCursor::new(cgroup);
    let mut entries = Vec::new();
    let read = service.in_slices(Counts::Any, |engine, _| {
        let tree = engine.tree();
        if entries.is_empty() {
            entries = first_entries(engine, cgroup);
        }
        let mut slice = Slice::begin();
        while slice.step() {
            let Some(child) = children.next(tree) else { return Ok(false) };
            entries.push(directory(directory_ino(&tree[child]), tree[child].name()));
        }
        Ok(true)
    });
    // the daemon is ending
    if read.is_err() { Vec::new() } else { entries }
}

/// The entries before the children: the directory itself, the one above, and the control files.
fn first_entries(engine: &Engine, cgroup: CgroupId) -> Vec<DirectoryEntry> {
    let tree = engine.tree();
    let Some(node) = tree.get(cgroup) else { return Vec::new() };
    let above = node.parent().and_then(|parent| tree.get(parent)).map_or(ROOT_INO, directory_ino);
    let mut entries = vec![directory(directory_ino(node), b"."), directory(above, b"..")];
    let file = |id: FileId, name: String| DirectoryEntry {
        ino: file_ino(node, id),
        kind: FileType::RegularFile,
        name: name.into_bytes().into(),
    };
    entries
        .extend(engine.files(cgroup).unwrap_or_default().into_iter().map(|entry| file(entry.id, entry.name)));
    entries
}

fn directory(ino: u64, name: &[u8]) -> DirectoryEntry {
    DirectoryEntry { ino, kind: FileType::Directory, name: name.into() }
}
