//! The directories and files that the kernel has looked up and not forgotten yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use penfold_core::{CgroupId, Owner, control_file::FileId};

use super::attributes::{FileTimes, NodeFacts, ROOT_INO};

/// The nodes that the kernel knows, by inode number. The table grows and shrinks with the kernel's own cache.
#[derive(Clone)]
pub(super) struct Nodes(Arc<Mutex<NodeTable>>);

#[derive(Default)]
struct NodeTable {
    nodes: HashMap<u64, ViewNode>,
    inos: HashMap<(CgroupId, Option<FileId>), u64>,
    /// The number of answers in progress. They have read the engine, and may not have noted here yet what the kernel
    /// learns.
    answers: u32,
}

/// Marks an answer as in progress until it is dropped.
pub(super) struct AnswerGuard<'a>(&'a Nodes);

impl Drop for AnswerGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().answers -= 1;
    }
}

/// A directory or a file that the kernel knows.
#[derive(Debug, Clone)]
pub(super) struct ViewNode {
    pub(super) cgroup: CgroupId,
    /// `None` for a directory.
    pub(super) file: Option<FileState>,
    /// The last known owner, for a node that is removed but open.
    pub(super) owner: Owner,
    pub(super) times: FileTimes,
    /// True if the kernel may have the node's attributes in its cache: it has got them, and no report of a change
    /// since.
    remembered: bool,
    /// How often the kernel has looked the node up, less the times that it has forgotten it.
    lookups: u64,
}

/// The state of a node that is a file.
#[derive(Debug, Clone)]
pub(super) struct FileState {
    pub(super) id: FileId,
    pub(super) name: Box<[u8]>,
    /// The size that the kernel has got last.
    size: u64,
    /// True after a read through the page cache (sendfile, splice): the kernel has reduced the size to the bytes that
    /// it got.
    shrunk: bool,
    /// True if the last open was answered `ESTALE`, so that the kernel gets the size again.
    sent_back: bool,
}

impl Nodes {
    pub(super) fn new(root: CgroupId) -> Nodes {
        let owner = Owner { mode: 0o555, ..Owner::default() };
        let node = ViewNode {
            cgroup: root,
            file: None,
            owner,
            times: FileTimes::now(),
            remembered: false,
            lookups: 1,
        };
        let mut table = NodeTable::default();
        table.nodes.insert(ROOT_INO, node);
        table.inos.insert((root, None), ROOT_INO);
        Nodes(Arc::new(Mutex::new(table)))
    }

    fn lock(&self) -> MutexGuard<'_, NodeTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, ino: u64) -> Option<ViewNode> {
        self.lock().nodes.get(&ino).cloned()
    }

    /// The cgroup of a directory; `None` for a file and for an unknown number.
    pub(super) fn directory(&self, ino: u64) -> Option<CgroupId> {
        self.lock().nodes.get(&ino).filter(|node| node.file.is_none()).map(|node| node.cgroup)
    }

    /// The inode number of a directory or a control file that the kernel knows, also of a removed one.
    pub(super) fn ino(&self, cgroup: CgroupId, file: Option<FileId>) -> Option<u64> {
        self.lock().inos.get(&(cgroup, file)).copied()
    }

    /// Begins an answer. Call it before reading the engine, and drop the guard after noting here what the kernel
    /// learns. A change in between is reported to the kernel, even if the kernel has the new state already.
    pub(super) fn begin_answer(&self) -> AnswerGuard<'_> {
        self.lock().answers += 1;
        AnswerGuard(self)
    }

    /// True if the kernel may know this directory, or learns of it from an answer in progress.
    pub(super) fn may_be_known(&self, cgroup: CgroupId) -> bool {
        let table = self.lock();
        table.answers > 0 || table.inos.contains_key(&(cgroup, None))
    }

    /// True if the kernel may have attributes of this directory in its cache. The caller then reports their change to
    /// the kernel, so the node is marked as not cached until the kernel gets attributes again.
    pub(super) fn outdate(&self, cgroup: CgroupId) -> bool {
        let mut table = self.lock();
        let NodeTable { nodes, inos, answers } = &mut *table;
        let node = inos.get(&(cgroup, None)).and_then(|ino| nodes.get_mut(ino));
        *answers > 0 || node.is_some_and(|node| std::mem::take(&mut node.remembered))
    }

    /// Notes an entry that the kernel gets and will cache. Returns the node's times.
    pub(super) fn note_entry(&self, facts: &NodeFacts, name: &[u8], size: u64) -> FileTimes {
        let mut table = self.lock();
        let NodeTable { nodes, inos, .. } = &mut *table;
        let node = nodes.entry(facts.ino).or_insert_with(|| ViewNode {
            cgroup: facts.cgroup,
            file: None,
            owner: facts.owner,
            times: FileTimes::now(),
            remembered: true,
            lookups: 0,
        });
        node.remembered = true;
        node.lookups += 1;
        // a file keeps its inode number, but not its id, when its subsystem is unloaded and loaded again
        if let Some(old) = node.file.as_ref().filter(|old| Some(old.id) != facts.file) {
            inos.remove(&(node.cgroup, Some(old.id)));
        }
        inos.insert((facts.cgroup, facts.file), facts.ino);
        node.file =
            facts.file.map(|id| FileState { id, name: name.into(), size, shrunk: false, sent_back: false });
        node.owner = facts.owner;
        node.times
    }

    /// Notes attributes that the kernel gets and will cache. Returns the node's times; `None` for an unknown node.
    pub(super) fn note_attributes(&self, facts: &NodeFacts, size: u64) -> Option<FileTimes> {
        let mut table = self.lock();
        let node = table.nodes.get_mut(&facts.ino)?;
        node.owner = facts.owner;
        node.remembered = true;
        if let Some(file) = &mut node.file {
            (file.size, file.shrunk, file.sent_back) = (size, false, false);
        }
        Some(node.times)
    }

    pub(super) fn set_times(&self, ino: u64, change: impl FnOnce(&mut FileTimes)) {
        if let Some(node) = self.lock().nodes.get_mut(&ino) {
            change(&mut node.times);
        }
    }

    /// Sets the last known owner of a node that is removed but open.
    pub(super) fn set_owner(&self, ino: u64, owner: Owner) {
        if let Some(node) = self.lock().nodes.get_mut(&ino) {
            node.owner = owner;
        }
    }

    /// Notes that the kernel has forgotten a node `count` times. The root stays.
    pub(super) fn forget(&self, ino: u64, count: u64) {
        let mut table = self.lock();
        let NodeTable { nodes, inos, .. } = &mut *table;
        let Some(node) = nodes.get_mut(&ino).filter(|_| ino != ROOT_INO) else { return };
        node.lookups = node.lookups.saturating_sub(count);
        if node.lookups == 0 {
            inos.remove(&(node.cgroup, node.file.as_ref().map(|file| file.id)));
            nodes.remove(&ino);
        }
    }

    /// Notes that a file is read through the page cache.
    pub(super) fn shrunk(&self, ino: u64) {
        if let Some(file) = self.lock().nodes.get_mut(&ino).and_then(|node| node.file.as_mut()) {
            file.shrunk = true;
        }
    }

    /// True if the kernel must get the size of a file again before it opens the file. A read through the page cache
    /// would miss the bytes beyond the old size. True at most once in a row, so that the next open succeeds in any
    /// case.
    pub(super) fn must_ask_again(&self, ino: u64, size: u64) -> bool {
        let mut table = self.lock();
        let Some(file) = table.nodes.get_mut(&ino).and_then(|node| node.file.as_mut()) else { return false };
        let again = (file.shrunk || file.size < size) && !file.sent_back;
        file.sent_back = again;
        again
    }

    /// True if the kernel must look a name up again that led to a file of a removed directory. Another directory may
    /// have the name by now. True at most once in a row.
    pub(super) fn must_look_up_again(&self, ino: u64) -> bool {
        let mut table = self.lock();
        let file = table.nodes.get_mut(&ino).and_then(|node| node.file.as_mut());
        file.is_some_and(|file| !std::mem::replace(&mut file.sent_back, true))
    }

    /// Inode numbers and names of the files of a directory that the kernel knows.
    pub(super) fn files_of(&self, cgroup: CgroupId) -> Vec<(u64, Box<[u8]>)> {
        let table = self.lock();
        let files = table.nodes.iter().filter(|(_, node)| node.cgroup == cgroup);
        files.filter_map(|(ino, node)| Some((*ino, node.file.as_ref()?.name.clone()))).collect()
    }
}
