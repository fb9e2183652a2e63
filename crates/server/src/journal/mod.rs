//! What a daemon that was killed leaves to the next one: a file that says how everything is.
//!
//! A thread of its own hears of every [`Announcement`], looks at the engine, and appends to the file how the thing that has
//! changed is now. No operation waits for it or for the disk; the price is that the very last changes before a SIGKILL,
//! some milliseconds', may be missing. What a daemon finds at its start is restored by [`restore()`].
//!
//! In the journal are the modules that were loaded, hierarchies, cgroups, owners and modes, what control files were set to, the processes that outlive
//! the daemon with their threads' cgroups, and the mount points of file views. Not in it are counts: CPU time, peaks,
//! failures and events start anew.

mod describe;
mod file;
mod members;
mod modules;
mod origin;
mod rebuild;
mod record;
mod restore;
mod scan;
mod snapshot;
mod views;
mod writer;

pub use describe::Defaults;
pub use file::{JournalContents, Store, parse};
pub use members::{Readopt, Survivors};
pub use origin::{JournalOrigin, ProcStamp, mount_namespace};
pub use rebuild::{Rebuilt, rebuild};
pub use record::{
    CgroupRecord, EscapedBytes, HierarchyRecord, ModuleRecord, OwnerRecord, ProcessRecord, Record,
    ThreadRecord, ViewRecord,
};
pub use restore::{MountAgain, RestoreHooks, restore};
pub use scan::describe_all;
pub use snapshot::Snapshot;
pub use views::mounted_at;
pub use writer::Journal;

#[allow(unused_imports)] // for the documentation
use crate::change::Announcement;
