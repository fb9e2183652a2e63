//! A command and the state in which its process starts.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::inheritance::Inheritance;
use crate::proc::ResourceLimit;

/// A command to run.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// Program and arguments. A program without a slash is looked up in the `PATH` of its environment.
    pub argv: Vec<OsString>,
    /// All variables of the environment, name and value; `None` for those that this process has at the start.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The working directory, entered with the rights of [`Command::user`]; `None` for that of this process.
    pub directory: Option<PathBuf>,
    /// The user whose rights the command has; `None` for those of this process.
    pub user: Option<User>,
    /// Standard input, output and error; `None` for those of this process.
    pub stdio: [Option<Arc<OwnedFd>>; 3],
    /// Whether descriptors above 2 that this process has left open at exec are closed all the same.
    pub only_stdio: bool,
    /// Session and terminal of the command.
    pub session: CommandSession,
    /// The file mode creation mask; `None` for that of this process.
    pub umask: Option<u32>,
    /// Resource limits that differ from those of this process. They are set with this process's rights.
    pub limits: Vec<ResourceLimit>,
    /// The process whose child the command is to be like; `None` for this process. With one, the command also has a new
    /// session keyring, default signal dispositions and no blocked signal.
    pub inheritance: Option<Arc<Inheritance>>,
    /// The nice value, -20 to 19, set with this process's rights; `None` for that of this process.
    pub nice: Option<i32>,
}

/// A user to run a command as. A user other than the own one needs root's rights (`EPERM`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// The session of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommandSession {
    /// The session and process group of this process.
    #[default]
    Inherited,
    /// A new session without a terminal (setsid(2)).
    New,
    /// A new session whose controlling terminal is the standard input. `ENOTTY` if that is no terminal, `EPERM` if it
    /// belongs to another session.
    Terminal,
}

impl Command {
    /// A command that inherits everything from this process.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}
