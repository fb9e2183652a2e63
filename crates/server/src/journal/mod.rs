//! The journal: a file with the state of a daemon, from which the next daemon restores it, also after SIGKILL.
//!
//! A thread receives every [`Announcement`], reads the present state of the changed object from the engine, and appends
//! it to the file. No operation waits for this thread or for the disk. The price: the changes of the last milliseconds
//! before a SIGKILL may be missing. [`restore()`] brings the state back.
//!
//! The journal has:
//!
//! - the loaded modules;
//! - hierarchies and cgroups, with owners, modes and the settings of control files;
//! - the processes that outlive the daemon, with the cgroups of their threads;
//! - the mount points of file views.
//!
//! It has no counts: CPU time, peaks, failures and events begin at zero again.

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
