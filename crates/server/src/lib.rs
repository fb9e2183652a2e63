//! The daemon of penfold: one engine on some host, a control socket, file views.
#![forbid(unsafe_code)]

pub mod address;
pub mod change;
pub mod client;
mod client_errors;
mod confinement;
pub mod connection;
pub mod control;
#[cfg(feature = "daemon")]
pub mod daemon;
mod describe;
pub mod directories;
pub mod escape;
pub mod failure;
pub mod files;
pub mod journal;
#[cfg(feature = "daemon")]
pub mod logging;
mod members;
#[cfg(feature = "daemon")]
pub mod metrics;
mod module_registry;
pub mod modules;
pub mod mounts;
pub mod operation;
pub mod proc_texts;
pub mod protocol;
pub mod service;
#[cfg(feature = "daemon")]
pub mod view;
