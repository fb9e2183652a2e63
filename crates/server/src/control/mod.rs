//! The control socket: every operation, over varlink, with the rights of who asks.
//!
//! A thread for each connection reads one message after the other and answers it, so that a client that is slow, silent
//! or stopped holds up nobody but itself. What a client can make the daemon keep is bounded by [`Limits`].

mod context;
mod directories;
mod dispatch;
mod exec;
mod files;
mod hierarchies;
mod hub;
mod inspect;
mod limits;
mod listener;
mod messages;
mod modules;
mod parameters;
mod path;
mod replies;
mod restrictions;
mod server;
mod session;
mod signals;
mod standard;
mod usage;
mod viewer;
mod watch;

pub use limits::Limits;
pub use listener::Listener;
pub use server::ControlServer;
pub use viewer::Viewer;
