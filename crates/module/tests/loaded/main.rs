//! Loads modules: real shared objects, on the simulated host. Needs `cc`.
#![cfg(feature = "loader")]
#![allow(missing_docs, unreachable_pub)]

mod at_once;
mod compile;
mod example;
mod failing;
mod garbage;
mod lingering;
mod logged;
mod rules;
mod world;
mod wrong;
