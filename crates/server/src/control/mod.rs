//! The control socket: every operation over varlink, with the rights of the client.
//!
//! Each connection has a thread, which reads one message after the other and answers it. So a client that is slow,
//! silent or stopped delays no other client. [`Limits`] bounds the memory and descriptors that a client can make the
//! daemon keep.

mod call_counts;
mod change_queue;
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
mod pool;
mod replies;
mod restrictions;
mod server;
mod session;
mod signals;
mod spare;
mod standard;
mod usage;
mod viewer;
mod watch;
mod watcher;

pub use limits::Limits;
pub use listener::Listener;
pub use pool::PoolLimit;
pub use server::ControlServer;
pub use viewer::Viewer;
