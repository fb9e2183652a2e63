//! Loadable controllers: [`abi`] is the binary interface, [`sdk`] writes modules in Rust, [`loader`] loads them.
//!
//! A module in Rust needs only this crate: everything of `penfold-core` that a controller uses is found here too.

pub mod abi;
mod answer;
#[cfg(feature = "loader")]
pub mod loader;
pub mod sdk;

pub use penfold_core::*;

/// `penfold.h`: [`abi`] for authors in C.
pub const HEADER: &str = include_str!("../include/penfold.h");
