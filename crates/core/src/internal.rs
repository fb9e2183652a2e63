//! Items for penfold's own crates. They are outside of every promise and may change with every version.
//!
//! The kit for modules keeps a subsystem and its states in a [`Loaded`], as an engine does. The loader of modules and
//! the front ends check names and parse writes by core's own rules. An embedder needs nothing from here.

pub use crate::control::task_number;
pub use crate::directory::MAX_NAME_LENGTH;
pub use crate::instance::{Loaded, destination};
pub use crate::load::MAX_SUBSYSTEM_NAME;
pub use crate::slot::SLOTS;
pub use crate::text::stripped;
