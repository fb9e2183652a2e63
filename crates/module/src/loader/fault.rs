//! What can be wrong in the description of a module.

use penfold_core::Errno;

use crate::abi;

/// A description that can't be used, and why. Nobody looks further than the first fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is of another version of the interface: `ENOEXEC`.
    #[error(
        "the module is made for version {theirs} of the binary interface, this penfold has version {}; compile it \
         against the header or the crate of this penfold",
        abi::ABI_VERSION
    )]
    Version {
        /// What the module says.
        theirs: u32,
    },
    /// It says the same version, but lays out its structures differently: `ENOEXEC`.
    #[error(
        "struct penfold_{what} has {theirs} bytes in the module and {ours} in this penfold, though both say version \
         {} of the binary interface; compile it against the header or the crate of this penfold",
        abi::ABI_VERSION
    )]
    Size {
        /// Which structure, without its prefix.
        what: &'static str,
        /// The size in the module.
        theirs: u32,
        /// The size in this program.
        ours: usize,
    },
    /// A text field is not usable.
    #[error("the module's {field} {problem}")]
    Text {
        /// Which one.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A number is none of those allowed.
    #[error("the module's {field} is {value}; allowed: {allowed}")]
    Number {
        /// Of what.
        field: String,
        /// The number as it was found.
        value: String,
        /// What it could be.
        allowed: String,
    },
    /// A table has entries, but there is no table at its address, or none can be.
    #[error("the module says that it has {count} {what}, but gives {problem} for their table")]
    Table {
        /// `files` or `rules`.
        what: &'static str,
        /// How many it says.
        count: u32,
        /// What is wrong with the pointer.
        problem: &'static str,
    },
    /// A mandatory callback is not there.
    #[error("the module has no {0}, which is mandatory")]
    Missing(&'static str),
    /// One file has more than one way to be read, or to be written.
    #[error("the module's file {file:?} has {count} handlers to {what}; at most one is allowed")]
    Handlers {
        /// The name of the file.
        file: String,
        /// `read` or `write`.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// Two files have the same name.
    #[error("the module has two files named {0:?}")]
    Twice(String),
    /// A file is named that is not in the table.
    #[error("the module's {field} names the file {file:?}, which it does not have")]
    NoFile {
        /// Where it is named.
        field: String,
        /// The name.
        file: String,
    },
}

impl Fault {
    /// `ENOEXEC` for a module of another penfold, otherwise `EINVAL`.
    pub fn errno(&self) -> Errno {
        match self {
            Fault::Version { .. } | Fault::Size { .. } => Errno::ENOEXEC,
            _ => Errno::EINVAL,
        }
    }
}
