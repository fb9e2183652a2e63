//! How a module makes its subsystem.

use penfold_core::subsystem::Subsystem;

/// The expression of [`export!`](crate::export), as a type: descriptions are constants and can't hold a closure.
pub trait Make {
    /// The type of the subsystem.
    type Subsystem: Subsystem;

    /// Makes the subsystem. Called once for each load of the module.
    fn make() -> Self::Subsystem;
}
