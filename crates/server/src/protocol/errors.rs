//! The errors of the interface.
//!
//! Generated from `org.penfold.Control.varlink` by `cargo xtask protocol`. Change that file, not this one.

use serde::{Deserialize, Serialize};

/// The operation is refused, as a system call is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The errno that the system call would have given.
    pub errno: i64,
    /// Name of the errno, such as ENOENT.
    pub name: String,
    /// One sentence: the object, the fault, the remedy.
    pub message: String,
}

/// The caller wants more than it may have at once: connections, length of a request, descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TooMuch {
    /// The limit that was reached, in words.
    pub message: String,
}
