//! The daemon of penfold: one engine on one host, shared by every user of the machine.
//!
//! `penfold serve` runs it with [`daemon::Daemon`]. Two front ends offer the same operations: the control socket
//! ([`control`]) and FUSE file systems ([`view`]). Both call [`service::Service`], which does each operation as a
//! [`client::Client`] and announces each change to its observers. The [`journal`] is such an observer: it keeps the
//! state on disk, so that the next daemon restores the state after a crash. [`metrics`] shows the state to Prometheus.
//!
//! A job of `penfold run` serves a control socket of its own with the same code, for the commands inside the job.
//!
//! The feature `daemon`, which is on by default, has [`daemon`], [`view`], [`metrics`] and [`logging`]. A client needs
//! none of them.
//!
//! # A client
//!
//! The caller is the process that connects. It may do what owner and mode of the cgroup's directories and files allow.
//! A refusal is an error with the kernel's errno ([`connection::CallError`]). [`protocol`] has every call.
//!
//! ```no_run
//! use penfold_server::address::Address;
//! use penfold_server::connection::Connection;
//! use penfold_server::protocol::{MkdirCall, WriteCall};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // a daemon runs, and has `pids` mounted: `penfold serve &`, then `penfold mount -o pids`
//! let mut connection = Connection::connect(&Address::of_client(None)?)?;
//! connection.call(&MkdirCall { cgroup: "pids:/build".into(), ..MkdirCall::default() })?;
//! connection.call(&WriteCall {
//!     cgroup: "pids:/build".into(),
//!     file: "pids.max".into(),
//!     content: "64".into(),
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/keeper.rs` is a daemon in a few lines, `examples/call.rs` a client without types.
//!
//! # Threads
//!
//! | name | number | work |
//! |---|---|---|
//! | the first | 1 | waits for signals and reaps orphans: [`daemon::Daemon::run`] |
//! | `penfold-accept` | 1 | accepts connections |
//! | `penfold-client` | 1 for each connection | reads calls and answers them |
//! | `penfold-publish` | 1 | forwards releases and events of the host |
//! | `penfold-events` | 1 while a client watches | forwards changes to watchers |
//! | `journal` | 1 | writes the journal |
//! | `viewN`, `viewN-tell`, `view-end` | for each view | answer the kernel, report changes to it, wait for its end |
//! | `metrics`, `metrics-scrape` | 1, and 1 for each scraper | serve metrics |
//! | `penfold-log` | 1 | writes to standard error |
//!
//! The host adds its own threads, such as the tracer of `penfold-linux`.
//!
//! # Locks
//!
//! The host owns the engine and its lock. A request is a closure: [`service::Service::with_snapshot`] and its
//! siblings run it under that lock. The closure takes no lock of this crate, so the engine's is always the last one.
//!
//! Locks that are held while another one is taken, outer first:
//!
//! - the place of a long piece of work, then the turn of a request, then the engine (`turns.rs`);
//! - the turn of loading and unloading modules, the list of modules, the engine;
//! - the list of watchers, then the service's observers or the engine;
//! - the service's observers, then a view's table of nodes;
//! - the read state of an open file or directory of a view, then the engine.
//!
//! Observers run on the thread that made the change. They send it to a channel and return: they never use the
//! service.
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
pub mod disabled;
pub mod escape;
pub mod failure;
pub mod files;
pub mod interruption;
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
mod slices;
mod turns;
#[cfg(feature = "daemon")]
pub mod view;
