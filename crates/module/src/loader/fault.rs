//! Faults in the description of a module.

use penfold_core::Errno;

use crate::abi;

/// The reason why a module's description can't be used. The check ends at the first fault.
///
/// The errno is `EINVAL`, except where a variant names another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The module is compiled for another version of the interface: `ENOEXEC`.
    #[error(
        "the module is made for version {theirs} of the binary interface, this penfold has version {}; compile it \
         against the header or the crate of this penfold",
        abi::ABI_VERSION
    )]
    Version {
        /// The version of the module.
        theirs: u32,
    },
    /// The version is the same, but a structure has another size: `ENOEXEC`.
    #[error(
        "struct penfold_{what} has {theirs} bytes in the module and {ours} in this penfold, though both say version \
         {} of the binary interface; compile it against the header or the crate of this penfold",
        abi::ABI_VERSION
    )]
    Size {
        /// The name of the structure without `penfold_`.
        what: &'static str,
        /// The size in the module.
        theirs: u32,
        /// The size in this program.
        ours: usize,
    },
    /// A text is not UTF-8, has no NUL at its end, or is otherwise not allowed.
    #[error("the module's {field} {problem}")]
    Text {
        /// The name of the field.
        field: String,
        /// The problem, in words.
        problem: &'static str,
    },
    /// A number is not among the allowed ones, such as 01777 for the permission bits of a file.
    #[error("the module's {field} is {value}; allowed: {allowed}")]
    Number {
        /// The field in words, such as `file "max" (mode)`.
        field: String,
        /// The number in the description, printed as C writes it: flags in hexadecimal, modes in octal.
        value: String,
        /// The values that are allowed, in words.
        allowed: String,
    },
    /// A table has entries, but its address is NULL or not aligned.
    #[error("the module says that it has {count} {what}, but gives {problem} for their table")]
    Table {
        /// `files` or `rules`.
        what: &'static str,
        /// The number of entries that the description names.
        count: u32,
        /// The problem with the address, in words.
        problem: &'static str,
    },
    /// A mandatory callback is NULL: `create` or `destroy`, which is the value here.
    #[error("the module has no {0}, which is mandatory")]
    Missing(&'static str),
    /// A file has more than one reader, or more than one writer.
    #[error("the module's file {file:?} has {count} handlers to {what}; at most one is allowed")]
    Handlers {
        /// The name of the file.
        file: String,
        /// `read` or `write`.
        what: &'static str,
        /// The number of handlers.
        count: usize,
    },
    /// Two files have the same name.
    #[error("the module has two files named {0:?}")]
    Twice(String),
    /// A field names a file that is not in the table.
    #[error("the module's {field} names the file {file:?}, which it does not have")]
    NoFile {
        /// The field that names the file.
        field: String,
        /// The name of the file.
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
