//! What a request can end with: errno, kind, subject, detail, and the cause where there is one.
//!
//! Everything that fails becomes a [`Failure`] at the edge: in the daemon before an answer is sent, in a client when one
//! has come. So both tell a failure in one form, `SUBJECT: what is wrong; what to do`, and decide by its kind.

mod lower;
mod wire;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_linux::error_text::error_text;

pub use wire::RemoteCause;

/// The cause of a failure, as far as there is one below it.
pub type FailureCause = Arc<dyn Error + Send + Sync>;

/// A refusal at the edge. Shown, it is `SUBJECT: what is wrong; what to do`, without the errno.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What the system call would have answered.
    pub errno: Errno,
    /// What a program decides by.
    pub kind: ErrorKind,
    /// The object at fault, in the words of the call: an address, a control file, a number, an option.
    pub subject: String,
    /// What is wrong with the subject and, after a semicolon, what to do. It does not repeat the subject.
    pub detail: String,
    /// What the failure comes from: the error of a system call, or the text that a daemon has sent of it.
    pub source: Option<FailureCause>,
}

impl Failure {
    /// A failure without a cause below it.
    pub fn new(
        kind: ErrorKind,
        errno: Errno,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) -> Failure {
        Failure { errno, kind, subject: subject.into(), detail: detail.into(), source: None }
    }

    /// A system call that failed with an errno.
    pub fn system(subject: impl Into<String>, errno: Errno) -> Failure {
        let kind = ErrorKind::of_system_call(errno as i32);
        Failure::new(kind, errno, subject, error_text(errno)).caused_by(errno)
    }

    /// A failure of the standard library. Without an errno of its own it has `EIO`.
    pub fn io(subject: impl Into<String>, error: io::Error) -> Failure {
        let failure = match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) => Failure::system(subject, errno),
            None => Failure::new(ErrorKind::System, Errno::EIO, subject, error.to_string()),
        };
        failure.caused_by(error)
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Failure {
        Failure { source: Some(Arc::new(cause)), ..self }
    }

    /// The same failure of another subject, such as the name that the caller has used.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Failure {
        Failure { subject: subject.into(), ..self }
    }

    /// The same failure, with something before its detail.
    #[must_use]
    pub fn with_prefix(self, prefix: impl fmt::Display) -> Failure {
        Failure { detail: format!("{prefix}{}", self.detail), ..self }
    }

    /// The errno's name, such as `ENOENT`.
    pub fn errno_name(&self) -> String {
        format!("{:?}", self.errno)
    }

    /// One line for a person: `SUBJECT: what is wrong; what to do [ERRNO]`.
    pub fn line(&self) -> String {
        format!("{self} [{}]", self.errno_name())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subject.is_empty() {
            write!(f, "{}: ", self.subject)?;
        }
        f.write_str(&self.detail)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// Causes are not compared: two failures are the same if they tell the same.
impl PartialEq for Failure {
    fn eq(&self, other: &Failure) -> bool {
        (self.errno, self.kind, &self.subject, &self.detail)
            == (other.errno, other.kind, &other.subject, &other.detail)
    }
}

impl Eq for Failure {}
