//! Loadable controllers: [`abi`] is the binary interface, [`sdk`] writes modules in Rust, [`loader`] loads them.
//!
//! A module in Rust needs only this crate: everything of `penfold-core` that a controller uses is found here too.

pub mod abi;
#[cfg(feature = "loader")]
pub mod loader;
pub mod sdk;

pub use penfold_core::control_file::*;
pub use penfold_core::host::*;
pub use penfold_core::subsystem::*;
pub use penfold_core::tree::*;
pub use penfold_core::*;

/// `penfold.h`: [`abi`] for authors in C.
pub const HEADER: &str = include_str!("../include/penfold.h");
