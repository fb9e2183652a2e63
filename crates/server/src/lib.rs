//! The daemon of penfold: one engine on the trace host, a control socket, file views.
#![forbid(unsafe_code)]

pub mod change;
pub mod client;
pub mod desk;
pub mod escape;
pub mod failure;
pub mod journal;
mod members;
pub mod protocol;
