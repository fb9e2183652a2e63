//! The messages of the control socket, as `org.penfold.Control.varlink` describes them.
//!
//! Written by hand, since a generator would be a build dependency of everyone; a test holds it against the description.

mod cgroups;
mod hierarchies;
mod modules;
mod news;
mod tasks;
mod things;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use cgroups::*;
pub use hierarchies::*;
pub use modules::*;
pub use news::*;
pub use tasks::*;
pub use things::*;

/// The name of the interface.
pub const INTERFACE: &str = "org.penfold.Control";

/// Its description, as `org.varlink.service.GetInterfaceDescription` gives it.
pub const DESCRIPTION: &str = include_str!("../org.penfold.Control.varlink");

/// The call of a method, with the reply that it has.
pub trait Method: Serialize + DeserializeOwned {
    /// Interface and method.
    const NAME: &'static str;
    /// What is answered.
    type Reply: Serialize + DeserializeOwned;
}

/// errno and its name, as the system call would have answered; message names the object and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// `errno`
    pub errno: i64,
    /// `name`
    pub name: String,
    /// `message`
    pub message: String,
}

/// This caller asks for more than it may have at once: connections, length of a request, descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TooMuch {
    /// `message`
    pub message: String,
}
