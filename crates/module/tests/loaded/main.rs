//! Loads modules: real shared objects, on the simulated host. Needs `cc`.
#![cfg(feature = "loader")]
#![allow(missing_docs, unreachable_pub)]

mod account;
mod at_once;
mod example;
mod failing;
mod garbage;
mod lingering;
mod logged;
mod rules;
mod wrong;
