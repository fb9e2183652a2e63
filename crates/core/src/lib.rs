//! The framework of penfold: hierarchies, cgroups, css_sets, subsystems, charge rules.
//!
//! A deterministic state machine behind `&mut self`: no locks, no I/O, no clock, no randomness. It knows no Linux:
//! a [`Host`] owns the tasks and knows what they are ([`HostView`]); an [`Engine`] owns everything else. A [`Subsystem`] never sees
//! the host's type and the host never sees a subsystem.
//!
//! Numbers such as *B4.4* in the documentation are those of the project's history of the two kernel patch sets.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod attach;
mod cgroup;
mod control;
pub mod control_file;
mod counter;
mod css_set;
mod directory;
mod engine;
mod engine_services;
mod errno;
mod error;
mod error_kind;
mod event;
mod event_mask;
mod hierarchy;
pub mod host;
mod ids;
mod index_set;
mod instance;
pub mod internal;
mod lifecycle;
mod limits;
mod load;
mod mount;
mod mount_options;
mod number;
mod release;
mod services;
pub mod simulated;
mod slot;
pub mod subsystem;
mod task;
mod text;
pub mod tree;

pub use engine::{Engine, LimitHit};
pub use errno::Errno;
pub use error::{Error, Result};
pub use error_kind::ErrorKind;
pub use event::Event;
pub use ids::{CgroupId, CssSetId};
pub use lifecycle::{ForkCharge, ForkGuard};
pub use limits::LimitState;
pub use mount::Mounted;
pub use release::Release;
pub use task::{Caller, Owner, Tid};
