//! Finds, checks, loads and unloads modules. [`Controller`] is a loaded module as the engine sees it.

mod call_frame;
mod controller;
mod description;
mod elf;
mod error;
mod fault;
mod host_services;
mod inspect;
mod loaded_module;
mod module_call;
mod module_file;
mod open_files;
pub mod ownership_check;
mod private_copy;
pub mod search;
mod source;
mod thread_keys;
mod truncation;
mod watchdog;

pub use controller::Controller;
pub use description::{FileDescription, MAX_FILES, MAX_RULES, MAX_WRITE, ModuleDescription, RuleDescription};
pub use error::LoadError;
pub use fault::Fault;
pub use module_file::{ModuleFile, inspect};
pub use ownership_check::Untrusted;
pub use private_copy::{LingeringModule, still_mapped};
