//! Loading and unloading modules.

mod error;
mod fault;
mod info;
pub mod search;
pub mod trust;

pub use error::LoadError;
pub use fault::Fault;
pub use info::{FileInfo, HEAD, Info, MAX_FILES, MAX_RULES, MAX_WRITE, RuleInfo, check_head, check_tables};
