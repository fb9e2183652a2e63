//! What the kernel has looked up and not forgotten yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use penfold_core::{CgroupId, Owner, control_file::FileId};

use super::attributes::{FileTimes, NodeFacts, ROOT_INO};

/// The nodes that the kernel knows, by inode number. It grows and shrinks with the kernel's own cache.
#[derive(Clone)]
pub(super) struct Nodes(Arc<Mutex<NodeTable>>);

#[derive(Default)]
struct NodeTable {
    nodes: HashMap<u64, ViewNode>,
    inos: HashMap<(CgroupId, Option<FileId>), u64>,
    /// Answers under way: what they have read of the engine is not noted here yet.
    answers: u32,
}

/// While it lives an answer is under way.
pub(super) struct AnswerGuard<'a>(&'a Nodes);

impl Drop for AnswerGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().answers -= 1;
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct ViewNode {
    pub(super) cgroup: CgroupId,
    /// `None` for a directory.
    pub(super) file: Option<FileState>,
    /// As last told, for when it is gone.
    pub(super) owner: Owner,
    pub(super) times: FileTimes,
    /// The kernel was told of its attributes and, since then, of no change of them.
    remembered: bool,
    lookups: u64,
}

/// What is special about files.
#[derive(Debug, Clone)]
pub(super) struct FileState {
    pub(super) id: FileId,
    pub(super) name: Box<[u8]>,
    /// The size that the kernel was last told.
    size: u64,
    /// It was read through the page cache (sendfile, splice): the kernel has put the size down to what it got.
    shrunk: bool,
    /// The next open has been sent back once for the kernel to ask for the size.
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

    /// The cgroup of a directory.
    pub(super) fn directory(&self, ino: u64) -> Option<CgroupId> {
        self.lock().nodes.get(&ino).filter(|node| node.file.is_none()).map(|node| node.cgroup)
    }

    /// The number of a directory or a control file, dead or alive, that the kernel knows.
    pub(super) fn ino(&self, cgroup: CgroupId, file: Option<FileId>) -> Option<u64> {
        self.lock().inos.get(&(cgroup, file)).copied()
    }

    /// Must begin before the engine is asked for what the kernel is told, and end when that is noted here: what changes
    /// in between is told of once more.
    pub(super) fn begin_answer(&self) -> AnswerGuard<'_> {
        self.lock().answers += 1;
        AnswerGuard(self)
    }

    /// May the kernel know this directory?
    pub(super) fn may_be_known(&self, cgroup: CgroupId) -> bool {
        let table = self.lock();
        table.answers > 0 || table.inos.contains_key(&(cgroup, None))
    }

    /// May the kernel remember attributes of this directory? Whoever asks tells it that they have changed: then it does
    /// not until it asks again.
    pub(super) fn outdate(&self, cgroup: CgroupId) -> bool {
        let mut table = self.lock();
        let NodeTable { nodes, inos, answers } = &mut *table;
        let node = inos.get(&(cgroup, None)).and_then(|ino| nodes.get_mut(ino));
        *answers > 0 || node.is_some_and(|node| std::mem::take(&mut node.remembered))
    }

    /// The kernel is told of an entry and will remember it. Returns its times.
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
        // the file of a subsystem that was unloaded and loaded again has a new id
        if let Some(old) = node.file.as_ref().filter(|old| Some(old.id) != facts.file) {
            inos.remove(&(node.cgroup, Some(old.id)));
        }
        inos.insert((facts.cgroup, facts.file), facts.ino);
        node.file =
            facts.file.map(|id| FileState { id, name: name.into(), size, shrunk: false, sent_back: false });
        node.owner = facts.owner;
        node.times
    }

    /// The kernel is told of attributes. Returns the times.
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

    /// Of what is gone, but open.
    pub(super) fn set_owner(&self, ino: u64, owner: Owner) {
        if let Some(node) = self.lock().nodes.get_mut(&ino) {
            node.owner = owner;
        }
    }

    /// The kernel has forgotten it that many times. The root stays.
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

    /// A file is read through the page cache.
    pub(super) fn shrunk(&self, ino: u64) {
        if let Some(file) = self.lock().nodes.get_mut(&ino).and_then(|node| node.file.as_mut()) {
            file.shrunk = true;
        }
    }

    /// Must the kernel ask for the size of a file again before it is opened? Whoever reads through the page cache would
    /// miss what lies beyond. True once; what comes next is let through, also when it has not asked.
    pub(super) fn must_ask_again(&self, ino: u64, size: u64) -> bool {
        let mut table = self.lock();
        let Some(file) = table.nodes.get_mut(&ino).and_then(|node| node.file.as_mut()) else { return false };
        let again = (file.shrunk || file.size < size) && !file.sent_back;
        file.sent_back = again;
        again
    }

    /// Must the kernel look a name up again that led it to a file of a removed directory? Another directory may have the
    /// name by now. True once, as above.
    pub(super) fn must_look_up_again(&self, ino: u64) -> bool {
        let mut table = self.lock();
        let file = table.nodes.get_mut(&ino).and_then(|node| node.file.as_mut());
        file.is_some_and(|file| !std::mem::replace(&mut file.sent_back, true))
    }

    /// The files of a directory that the kernel knows.
    pub(super) fn files_of(&self, cgroup: CgroupId) -> Vec<(u64, Box<[u8]>)> {
        let table = self.lock();
        let files = table.nodes.iter().filter(|(_, node)| node.cgroup == cgroup);
        files.filter_map(|(ino, node)| Some((*ino, node.file.as_ref()?.name.clone()))).collect()
    }
}
