//! Loading and unloading modules.

mod claim;
mod controller;
mod elf;
mod error;
mod fault;
mod guest;
mod host_services;
mod info;
mod inspect;
mod rendezvous;
pub mod search;
mod source;
mod sync;
mod thread;
pub mod trust;
mod whole;

pub use controller::Controller;
pub use error::LoadError;
pub use fault::Fault;
pub use info::{FileInfo, HEAD, Info, MAX_FILES, MAX_RULES, MAX_WRITE, RuleInfo, check_head, check_tables};
pub use inspect::inspect;
pub use trust::Untrusted;
