//! The kind of a failure: what a program decides by, where a person reads the message.

use crate::errno::Errno;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        /// The kind of a failure, the same in every layer of penfold.
        ///
        /// The engine gives the kinds up to [`Unsupported`](ErrorKind::Unsupported), hosts and front ends all of them. A
        /// program decides by the kind: many operations answer one errno for different reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of its declaration.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name),*];

            /// The name that the control socket uses, such as `invalidValue`.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorKind::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// A control file does not take the value, or can't be read or written at all.
    InvalidValue = "invalidValue";
    /// A mount option that can't be taken, alone or beside the others.
    InvalidOption = "invalidOption";
    /// Another argument of an operation that can't be taken, such as a name with a newline.
    InvalidArgument = "invalidArgument";
    /// Nothing has the name or number: no hierarchy, cgroup, control file, module or file.
    NotFound = "notFound";
    /// A control file stands where a cgroup is needed, or the other way round.
    WrongType = "wrongType";
    /// The name is taken.
    AlreadyExists = "alreadyExists";
    /// Something else uses it, so that it can't be changed or removed now.
    Busy = "busy";
    /// The cgroup was removed, or its hierarchy is gone.
    Removed = "removed";
    /// The caller may not do this.
    NotPermitted = "notPermitted";
    /// There is no such task, or it is exiting.
    NoTask = "noTask";
    /// The task can't be moved or supervised at this moment; later it may.
    TaskBusy = "taskBusy";
    /// The task can never be moved or supervised, such as a thread of the kernel.
    UnsuitableTask = "unsuitableTask";
    /// A limit or a subsystem refused a fork.
    ForkRefused = "forkRefused";
    /// A subsystem or module can't be loaded as it is.
    Load = "load";
    /// A subsystem refused the operation for a reason of its own.
    Subsystem = "subsystem";
    /// This host lacks a capability that the operation needs.
    Unsupported = "unsupported";
    /// A system call failed; the errno is its answer.
    System = "system";
    /// The command was not found.
    CommandNotFound = "commandNotFound";
    /// The command was found and can't be executed.
    CannotExecute = "cannotExecute";
    /// The command has ended, and nobody knows how.
    StatusUnknown = "statusUnknown";
    /// The caller asks for more than it may have at once.
    TooMuch = "tooMuch";
    /// The host or the daemon is ending.
    Ending = "ending";
    /// No daemon can be reached.
    NoDaemon = "noDaemon";
    /// The connection to the daemon broke.
    Disconnected = "disconnected";
    /// The other side does not speak this protocol.
    Protocol = "protocol";
    /// A parameter of a call is missing, unknown, of another type or out of range.
    InvalidParameter = "invalidParameter";
    /// Wrong arguments on a command line.
    Usage = "usage";
    /// A kind that this version does not know: one of a newer daemon, or none was given.
    Other = "other";
}

impl ErrorKind {
    /// The kind of that name, [`ErrorKind::Other`] for a name that this version does not know.
    pub fn of_name(name: &str) -> ErrorKind {
        ErrorKind::ALL.iter().copied().find(|kind| kind.name() == name).unwrap_or(ErrorKind::Other)
    }

    /// The kind of a system call that failed with this error number.
    pub const fn of_system_call(number: i32) -> ErrorKind {
        match Errno::from_number(number) {
            Some(Errno::ENOENT) => ErrorKind::NotFound,
            Some(Errno::EEXIST) => ErrorKind::AlreadyExists,
            Some(Errno::EPERM | Errno::EACCES) => ErrorKind::NotPermitted,
            Some(Errno::EBUSY) => ErrorKind::Busy,
            Some(Errno::ENOTDIR | Errno::EISDIR) => ErrorKind::WrongType,
            Some(Errno::ESRCH) => ErrorKind::NoTask,
            _ => ErrorKind::System,
        }
    }
}
