//! The daemon of penfold: one engine on the trace host, a control socket, file views.
#![forbid(unsafe_code)]

pub mod address;
pub mod change;
pub mod client;
pub mod connection;
pub mod control;
#[cfg(feature = "daemon")]
pub mod daemon;
mod describe;
pub mod desk;
pub mod escape;
pub mod failure;
pub mod journal;
#[cfg(feature = "daemon")]
pub mod logging;
mod members;
#[cfg(feature = "daemon")]
pub mod metrics;
pub mod modules;
pub mod proc_texts;
pub mod protocol;
mod reach;
#[cfg(feature = "daemon")]
pub mod view;
