//! The failure of a request: errno, kind, subject, detail, and the cause if there is one.
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
    /// The errno that a system call would have given.
    pub errno: Errno,
    /// The kind, for a program to decide by.
    pub kind: ErrorKind,
    /// The object at fault, in the words of the call: an address, a control file, a number, an option.
    pub subject: String,
    /// The fault in words and, after a semicolon, the remedy. Does not repeat the subject.
    pub detail: String,
    /// The cause: the error of a system call, or the text that a daemon has sent of it.
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
        // an error number without a name has the value 0 here, which would be a success
        let errno = if errno == Errno::UnknownErrno { Errno::EIO } else { errno };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_error_number_is_no_success() {
        let odd = Failure::io("/dev/fuse", io::Error::from_raw_os_error(4000));
        assert_eq!((odd.errno, odd.kind), (Errno::EIO, ErrorKind::System));
        assert_eq!(crate::protocol::Refused::from(&odd).errno, 5);
    }

    #[test]
    fn system_calls_that_fail_have_the_words_of_strerror() {
        let failure = Failure::system("fork", Errno::EAGAIN);
        assert_eq!(failure.line(), "fork: Resource temporarily unavailable [EAGAIN]");
        assert_eq!(failure.source().map(ToString::to_string), Some(Errno::EAGAIN.to_string()));
        let failure = Failure::io("/x", io::Error::from_raw_os_error(2)).with_prefix("can't open: ");
        assert_eq!(failure.line(), "/x: can't open: No such file or directory [ENOENT]");
        assert_eq!(
            (failure.kind, failure.about("/y").to_string().as_str()),
            (ErrorKind::NotFound, "/y: can't open: No such file or directory")
        );
        let other = Failure::io("text", io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"));
        assert_eq!(other.line(), "text: not UTF-8 [EIO]");
    }

    #[test]
    fn failures_that_tell_the_same_are_equal() {
        let plain = Failure::new(ErrorKind::Busy, Errno::EBUSY, "/a", "has tasks");
        assert_eq!(plain.clone().caused_by(Errno::EIO), plain);
        assert_ne!(plain.clone().about("/b"), plain);
    }
}
