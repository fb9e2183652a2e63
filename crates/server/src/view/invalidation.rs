//! Reports to the kernel of changes that did not come through the view.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use fuser::{INodeNo, Notifier};
use penfold_core::CgroupId;

use super::attributes::ROOT_INO;
use super::nodes::Nodes;
use crate::change::{Announcement, EngineChange, ViewId};

/// Reports changes until the view has ended. A report may wait for a lock that a request holds. The thread that answers
/// requests ends that request, and never waits for this one.
pub(super) fn run(
    changes: &Receiver<EngineChange>,
    notifier: &Notifier,
    nodes: &Nodes,
    root: CgroupId,
    ended: &AtomicBool,
) {
    while let Ok(what) = changes.recv() {
        if ended.load(Ordering::Acquire) {
            return;
        }
        notify(notifier, nodes, root, &what);
    }
}

/// True if a change that has just happened must be reported to the kernel. Call it once for each change: it marks nodes
/// as not cached.
///
/// The check runs on the thread of the change. To wake the reporting thread for nothing would cost a client that makes
/// many directories more than the directories.
pub(super) fn concerns(nodes: &Nodes, id: ViewId, announced: &Announcement) -> bool {
    // the kernel knows the changes of its own requests
    if announced.origin == Some(id) {
        return false;
    }
    match &announced.change {
        EngineChange::Made { parent, .. } => nodes.outdate(*parent),
        // not ||: the first call must not be skipped, it marks the parent
        EngineChange::Removed { parent, cgroup, .. } => nodes.outdate(*parent) | nodes.may_be_known(*cgroup),
        EngineChange::Written { .. }
        | EngineChange::Mounted(_)
        | EngineChange::Loaded(_)
        | EngineChange::Unloaded(_) => false,
        // an unmount is reported so that the thread sees the end of the view
        EngineChange::Renamed { .. }
        | EngineChange::Owner { .. }
        | EngineChange::Remounted(_)
        | EngineChange::Unmounted(_) => true,
    }
}

/// Reports one change.
fn notify(notifier: &Notifier, nodes: &Nodes, root: CgroupId, what: &EngineChange) {
    match what {
        // a new name needs no report: the kernel caches no absent names
        EngineChange::Made { parent, .. } => attributes(notifier, nodes.ino(*parent, None)),
        EngineChange::Removed { parent, cgroup, name } => {
            let Some(parent) = nodes.ino(*parent, None) else { return };
            let name = OsStr::from_bytes(name);
            match nodes.ino(*cgroup, None) {
                // this report also reaches watchers by inotify
                Some(child) => log_refusal(notifier.delete(INodeNo(parent), INodeNo(child), name)),
                None => log_refusal(notifier.inval_entry(INodeNo(parent), name)),
            }
            attributes(notifier, Some(parent));
        }
        EngineChange::Renamed { parent, from, to, .. } => {
            let Some(parent) = nodes.ino(*parent, None) else { return };
            log_refusal(notifier.inval_entry(INodeNo(parent), OsStr::from_bytes(from)));
            log_refusal(notifier.inval_entry(INodeNo(parent), OsStr::from_bytes(to)));
            attributes(notifier, Some(parent));
        }
        EngineChange::Owner { cgroup, file: None } => attributes(notifier, nodes.ino(*cgroup, None)),
        EngineChange::Owner { cgroup, file: Some(file) } => {
            attributes(notifier, nodes.ino(*cgroup, Some(*file)));
        }
        // files have come and gone, and a file that came back has the owner of the root again
        EngineChange::Remounted(changed) if *changed == root => {
            for (ino, name) in nodes.files_of(root) {
                log_refusal(notifier.inval_entry(INodeNo(ROOT_INO), OsStr::from_bytes(&name)));
                attributes(notifier, Some(ino));
            }
        }
        EngineChange::Mounted(_)
        | EngineChange::Remounted(_)
        | EngineChange::Unmounted(_)
        | EngineChange::Loaded(_)
        | EngineChange::Unloaded(_)
        | EngineChange::Written { .. } => {}
    }
}

fn attributes(notifier: &Notifier, ino: Option<u64>) {
    if let Some(ino) = ino {
        // a negative offset drops attributes only, not the content
        log_refusal(notifier.inval_inode(INodeNo(ino), -1, 0));
    }
}

fn log_refusal(notified: io::Result<()>) {
    match notified {
        Ok(()) => {}
        // something is mounted there or open below; the kernel has forgotten the name all the same
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENOTEMPTY | nix::libc::EBUSY)) => {}
        Err(error) => tracing::debug!(%error, "the kernel did not take a notice"),
    }
}
