//! The errors of a client's connection and calls, and the failure that each becomes.

use std::io;

use nix::errno::Errno;
use penfold_core::ErrorKind;
use serde_json::{Map, Value};

use crate::address::{Address, NoAddress};
use crate::failure::Failure;
use crate::protocol::{INTERFACE, Refused, TooMuch};

/// The interface that every varlink service has.
const STANDARD: &str = "org.varlink.service";
/// The subject of the errors of a connection.
const DAEMON: &str = "daemon";

/// No connection to a daemon.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no socket, or it is left over from a daemon that died.
    #[error("{0}: no daemon listens there; start one with `penfold serve`")]
    Nobody(Address),
    /// This user may not write the socket file.
    #[error("{0}: this user may not connect to the daemon there")]
    Denied(Address),
    /// A signal came before the daemon had accepted the connection.
    #[error("{0}: the daemon there did not answer")]
    NoAnswer(Address),
    /// Another error of the system.
    #[error("{address}: can't connect: {error}")]
    Other {
        /// The address of the socket.
        address: Address,
        /// Why not.
        error: io::Error,
    },
}

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The operation was refused, as a system call is.
    #[error("{0}")]
    Refused(Failure),
    /// This client asks for more than it may have at once.
    #[error("{0}")]
    TooMuch(String),
    /// A parameter of the call is missing, unknown, of another type or out of range: its path.
    #[error("parameter {0}: not what the daemon takes")]
    InvalidParameter(String),
    /// The daemon has no such method: it is older than this client.
    #[error("{0}: the daemon has no such method")]
    UnknownMethod(String),
    /// The connection broke, or the daemon is gone.
    #[error("the connection to the daemon broke: {0}")]
    Transport(#[from] io::Error),
    /// A signal came before the daemon's answer.
    #[error("the daemon did not answer")]
    NoAnswer,
    /// An answer that is none: another version, or something that is not penfold.
    #[error("not an answer of penfold's: {0}")]
    Protocol(String),
}

impl ConnectError {
    /// The meaning of an error of connect(2).
    pub(crate) fn of_connect(address: &Address, error: io::Error) -> ConnectError {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ConnectError::Nobody(address.clone())
            }
            io::ErrorKind::PermissionDenied => ConnectError::Denied(address.clone()),
            _ => ConnectError::Other { address: address.clone(), error },
        }
    }
}

/// The failure of a wait that a signal has ended.
pub fn no_answer(subject: impl Into<String>) -> Failure {
    let detail = "did not answer before the signal; it is stopped or busy";
    Failure::new(ErrorKind::Busy, Errno::EINTR, subject, detail)
}

impl CallError {
    /// The errno that a system call would have given; `None` where the daemon did not say.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            CallError::Refused(failure) => Some(failure.errno),
            _ => None,
        }
    }

    /// The kind of the refusal; `None` where there is no answer, or one that is no refusal.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            CallError::Refused(failure) => Some(failure.kind),
            _ => None,
        }
    }

    /// The error that an answer of the daemon stands for.
    pub(crate) fn of_answer(error: &str, parameters: &str) -> CallError {
        let of = |interface: &str| error.strip_prefix(interface).and_then(|rest| rest.strip_prefix('.'));
        let text = |name: &str| {
            let parameters: Map<String, Value> = serde_json::from_str(parameters).unwrap_or_default();
            parameters.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match (of(INTERFACE), of(STANDARD)) {
            (Some("Refused"), _) => {
                refused(parameters).map_or_else(CallError::unreadable, CallError::Refused)
            }
            (Some("TooMuch"), _) => serde_json::from_str(parameters)
                .map_or_else(CallError::unreadable, |TooMuch { message }| CallError::TooMuch(message)),
            (_, Some("InvalidParameter")) => CallError::InvalidParameter(text("parameter")),
            (_, Some("MethodNotFound")) => CallError::UnknownMethod(text("method")),
            _ => CallError::Protocol(format!("{error} {parameters}")),
        }
    }

    pub(crate) fn unreadable(error: serde_json::Error) -> CallError {
        CallError::Protocol(error.to_string())
    }
}

/// A refusal, also of a daemon that is older than its typed fields.
fn refused(parameters: &str) -> serde_json::Result<Failure> {
    let mut parameters: Map<String, Value> = serde_json::from_str(parameters)?;
    for typed in ["kind", "subject", "detail"] {
        parameters.entry(typed).or_insert_with(|| "".into());
    }
    serde_json::from_value::<Refused>(parameters.into()).map(Failure::from)
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        match error {
            CallError::Refused(failure) => failure,
            CallError::TooMuch(message) => Failure::new(ErrorKind::TooMuch, Errno::EDQUOT, "call", message),
            CallError::InvalidParameter(path) => {
                let detail = "not what the daemon takes; is it of another version?";
                let subject = format!("parameter {path}");
                Failure::new(ErrorKind::InvalidParameter, Errno::EINVAL, subject, detail)
            }
            CallError::UnknownMethod(method) => {
                let detail = "the daemon has no such method; it is older than this penfold";
                Failure::new(ErrorKind::Unsupported, Errno::ENOSYS, method, detail)
            }
            CallError::NoAnswer => no_answer(DAEMON),
            CallError::Transport(error) => {
                // the end of a stream has no errno of its own
                let errno = error.raw_os_error().map_or(Errno::ECONNRESET, Errno::from_raw);
                let failure = Failure::io(DAEMON, error).with_prefix("the connection broke: ");
                Failure { errno, kind: ErrorKind::Disconnected, ..failure }
            }
            CallError::Protocol(answer) => {
                let detail = format!("the answer is none of penfold's: {answer}");
                Failure::new(ErrorKind::Protocol, Errno::EPROTO, DAEMON, detail)
            }
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        match error {
            ConnectError::Nobody(address) => {
                let detail = "no daemon listens there; start one with `penfold serve`";
                Failure::new(ErrorKind::NoDaemon, Errno::ECONNREFUSED, address.to_string(), detail)
            }
            ConnectError::Denied(address) => {
                let detail = "this user may not connect to the daemon there";
                Failure::new(ErrorKind::NotPermitted, Errno::EACCES, address.to_string(), detail)
            }
            ConnectError::NoAnswer(_) => no_answer(DAEMON),
            ConnectError::Other { address, error } => {
                let failure = Failure::io(address.to_string(), error).with_prefix("can't connect: ");
                Failure { kind: ErrorKind::NoDaemon, ..failure }
            }
        }
    }
}

impl From<NoAddress> for Failure {
    fn from(_: NoAddress) -> Failure {
        Failure::new(ErrorKind::NoDaemon, Errno::ENOENT, DAEMON, NoAddress::DETAIL)
    }
}
