//! For penfold's own crates: not covered by any promise, and may change with every version.
//!
//! The module loader keeps a subsystem's states by [`Loaded`]; front ends parse what is written to control files as core
//! does.

pub use crate::control::task_number;
pub use crate::directory::MAX_NAME_LENGTH;
pub use crate::instance::{Loaded, destination};
pub use crate::load::MAX_SUBSYSTEM_NAME;
pub use crate::slot::SLOTS;
pub use crate::text::stripped;
