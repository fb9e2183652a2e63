//! The daemon of penfold: one engine on the trace host, a control socket, file views.
#![forbid(unsafe_code)]

pub mod address;
pub mod change;
pub mod client;
pub mod connection;
pub mod control;
pub mod daemon;
pub mod desk;
pub mod escape;
pub mod failure;
pub mod journal;
pub mod logging;
mod members;
pub mod metrics;
pub mod modules;
pub mod proc_texts;
pub mod protocol;
mod reach;
pub mod view;
