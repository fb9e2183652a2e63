//! The framework of penfold: hierarchies, cgroups, css_sets, subsystems, charge rules.
//!
//! A deterministic state machine behind `&mut self`: no locks, no I/O, no clock, no randomness. It knows no Linux:
//! a [`Host`] owns the tasks and knows what they are ([`HostView`]); an [`Engine`] owns everything else. A [`Subsystem`] never sees
//! the host's type and the host never sees a subsystem.
//!
//! Numbers such as *B4.4* in the documentation are rules of docs/history.md, which says what the two kernel patch sets did.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod attach;
mod cgroup;
mod control;
mod counter;
mod css_set;
mod directory;
mod engine;
mod env;
mod errno;
mod error;
mod event;
mod file;
mod hierarchy;
mod host;
mod ids;
mod instance;
mod interest;
mod lifecycle;
mod limits;
mod load;
mod mask;
mod mount;
mod mount_options;
mod number;
mod release;
mod services;
pub mod simulated;
mod slot;
mod subsystem;
mod task;
mod text;
mod tree;

pub use cgroup::Cgroup;
pub use control::{FileEntry, task_number};
pub use counter::{Counter, CpuTime, CpuUsage, Resource, Rule, UNLIMITED};
pub use css_set::CssSet;
pub use directory::MAX_NAME_LENGTH;
pub use engine::{Engine, LimitHit};
pub use errno::Errno;
pub use error::{Error, Result};
pub use event::Event;
pub use file::{File, PAGE_SIZE, Place, Read, ReadMap, Write};
pub use hierarchy::{Hierarchy, HierarchyFlags};
pub use host::{CannotGive, Host, HostView, Need};
pub use ids::{CgroupId, Css, CssSetId, FileId};
pub use instance::{Loaded, destination};
pub use interest::Interest;
pub use lifecycle::{ForkCharge, ForkGuard};
pub use limits::LimitState;
pub use load::MAX_SUBSYSTEM_NAME;
pub use mask::Mask;
pub use mount::Mounted;
pub use number::{parse_s32, parse_s64, parse_u64};
pub use release::Release;
pub use services::{Inside, Services};
pub use slot::SLOTS;
pub use subsystem::{Callbacks, Context, Migration, Subsystem};
pub use task::{Caller, MoveFacts, Owner, TaskFacts, Tid};
pub use text::stripped;
pub use tree::Tree;
