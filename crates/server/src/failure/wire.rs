//! A failure as the control socket sends it.

use nix::errno::Errno;
use penfold_core::ErrorKind;

use super::Failure;
use crate::protocol::Refused;

/// The cause of a failure, in the words that a daemon has sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RemoteCause(pub String);

impl From<&Failure> for Refused {
    fn from(failure: &Failure) -> Refused {
        Refused {
            errno: i64::from(failure.errno as i32),
            name: failure.errno_name(),
            kind: failure.kind.name().to_owned(),
            subject: failure.subject.clone(),
            detail: failure.detail.clone(),
            source: failure.source.as_ref().map(ToString::to_string),
            message: failure.to_string(),
        }
    }
}

impl From<Refused> for Failure {
    /// A daemon that is older than the kinds has sent the message alone.
    fn from(refused: Refused) -> Failure {
        let errno = i32::try_from(refused.errno).map_or(Errno::EPROTO, Errno::from_raw);
        let detail = if refused.detail.is_empty() { refused.message } else { refused.detail };
        let failure = Failure::new(ErrorKind::of_name(&refused.kind), errno, refused.subject, detail);
        match refused.source {
            Some(cause) => failure.caused_by(RemoteCause(cause)),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn unknown_kind_and_errno_are_tolerated() {
        let sent = Refused {
            errno: 16,
            name: "EBUSY".into(),
            kind: "fromTheFuture".into(),
            subject: "/a".into(),
            detail: "has a lease; end it".into(),
            source: Some("the lease".into()),
            message: "/a: has a lease; end it".into(),
        };
        let failure = Failure::from(sent.clone());
        assert_eq!((failure.kind, failure.errno), (ErrorKind::Other, Errno::EBUSY));
        assert_eq!(failure.line(), "/a: has a lease; end it [EBUSY]");
        assert_eq!(failure.source().map(ToString::to_string).as_deref(), Some("the lease"));
        let nonsense = Failure::from(Refused { errno: 1 << 40, ..sent });
        assert_eq!(nonsense.errno, Errno::EPROTO);
    }

    #[test]
    fn client_of_before_the_kinds_finds_its_fields() {
        /// The error as it was at first.
        #[derive(serde::Deserialize)]
        struct FirstRefused {
            errno: i64,
            name: String,
            message: String,
        }
        let failure = Failure::system("/dev/fuse", Errno::ENOENT);
        let text = serde_json::to_string(&Refused::from(&failure)).expect("JSON");
        let old: FirstRefused = serde_json::from_str(&text).expect("all its fields");
        assert_eq!((old.errno, old.name.as_str()), (2, "ENOENT"));
        assert_eq!(old.message, "/dev/fuse: No such file or directory");
    }
}
