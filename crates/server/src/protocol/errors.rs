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
    /// Name of the kind of the failure, such as notFound. A newer daemon may have other kinds.
    pub kind: String,
    /// The object at fault, in the words of the call: an address, a control file, a number, an option.
    pub subject: String,
    /// The fault and, after a semicolon, the remedy. The subject is not repeated.
    pub detail: String,
    /// The error that caused the failure, such as that of a system call. Null if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Subject and detail in one line.
    pub message: String,
}

/// The caller wants more than it may have at once: connections, length of a request, descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TooMuch {
    /// The limit that was reached, in words.
    pub message: String,
}
