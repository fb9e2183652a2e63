//! The messages of the control socket: a call and a reply for each method of `org.penfold.Control`.
//!
//! The interface is written in `org.penfold.Control.varlink`, from which `cargo xtask protocol` generates the structs
//! here. They hold what JSON holds: every number is an `i64`, and an `Option` is a field that may be absent. Where a
//! string stands for bytes that need not be UTF-8, [`escape`](crate::escape::escape) and
//! [`unescape`](crate::escape::unescape) convert.
//!
//! An *address* names a cgroup: `[HIERARCHY:]/path`, such as `pids:/build`. HIERARCHY is a hierarchy's number, its name
//! or one of its subsystems. While only one hierarchy exists, the path alone is an address.
//!
//! A client sends a call with [`Connection::call`](crate::connection::Connection::call).

#[allow(clippy::doc_markdown)] // the comments of the interface are plain text
mod errors;
#[allow(clippy::doc_markdown)]
mod methods;
#[allow(clippy::doc_markdown)]
mod types;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use errors::*;
pub use methods::*;
pub use types::*;

/// The name of the interface.
pub const INTERFACE: &str = "org.penfold.Control";

/// The description of the interface, as `org.varlink.service.GetInterfaceDescription` returns it.
pub const DESCRIPTION: &str = include_str!("../org.penfold.Control.varlink");

/// The call of a method.
pub trait Method: Serialize + DeserializeOwned {
    /// The method's full name, such as `org.penfold.Control.Mkdir`.
    const NAME: &'static str;
    /// The reply to the call.
    type Reply: Serialize + DeserializeOwned;
}
