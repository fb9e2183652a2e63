//! Writing replies.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use penfold_core::ErrorKind;
use serde::Serialize;

use crate::failure::Failure;
use crate::protocol::{Refused, TooMuch};

/// The writer of replies to one call. An I/O error of a method means that the connection is of no more use.
pub(super) struct ReplyWriter<'a> {
    stream: &'a UnixStream,
    buffer: &'a mut Vec<u8>,
    /// True if the client takes more than one reply (`more` of the call).
    pub(super) more: bool,
    /// True if the client wants no reply (`oneway` of the call): nothing is sent.
    pub(super) oneway: bool,
}

#[derive(Serialize)]
struct ReplyBody<'a, R> {
    parameters: &'a R,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

#[derive(Serialize)]
struct ErrorBody<'a, E> {
    error: &'a str,
    parameters: &'a E,
}

impl<'a> ReplyWriter<'a> {
    /// A writer of replies to `stream`, which must have a write timeout: a client may not block this thread for ever.
    /// `buffer` is scratch space, so that replies of one connection share an allocation.
    pub(super) fn new(stream: &'a UnixStream, buffer: &'a mut Vec<u8>) -> ReplyWriter<'a> {
        ReplyWriter { stream, buffer, more: false, oneway: false }
    }

    /// Sends the last reply.
    pub(super) fn reply<R: Serialize>(&mut self, parameters: &R) -> io::Result<()> {
        self.send(&ReplyBody { parameters, continues: false })
    }

    /// Sends a reply that further ones follow.
    pub(super) fn continue_with<R: Serialize>(&mut self, parameters: &R) -> io::Result<()> {
        self.send(&ReplyBody { parameters, continues: true })
    }

    /// Sends the error `Refused`.
    pub(super) fn refuse(&mut self, failure: &Failure) -> io::Result<()> {
        if failure.kind == ErrorKind::InvalidParameter {
            return self.invalid_parameter(&failure.subject);
        }
        self.error("org.penfold.Control.Refused", &Refused::from(failure))
    }

    /// A parameter is missing, unknown, of another type or out of range.
    pub(super) fn invalid_parameter(&mut self, path: &str) -> io::Result<()> {
        self.standard_error("InvalidParameter", "parameter", path)
    }

    /// Sends the error `TooMuch`.
    pub(super) fn too_much(&mut self, message: String) -> io::Result<()> {
        self.error("org.penfold.Control.TooMuch", &TooMuch { message })
    }

    /// Sends `org.varlink.service.ERROR` with one parameter.
    pub(super) fn standard_error(&mut self, error: &str, name: &str, value: &str) -> io::Result<()> {
        let parameters: serde_json::Map<_, _> = [(name.to_owned(), value.into())].into_iter().collect();
        self.error(&format!("org.varlink.service.{error}"), &parameters)
    }

    fn error<E: Serialize>(&mut self, error: &str, parameters: &E) -> io::Result<()> {
        self.send(&ErrorBody { error, parameters })
    }

    /// The socket that replies are sent to.
    pub(super) fn stream(&self) -> &'a UnixStream {
        self.stream
    }

    fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut *self.buffer, message)?;
        self.buffer.push(0);
        self.flush()
    }

    /// Sends `message` as it is. It must end in NUL.
    pub(super) fn send_bytes(&mut self, message: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(message);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.oneway {
            return Ok(());
        }
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            match send(self.stream.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // an idle connection must not keep the memory of one large reply
        if self.buffer.capacity() > 64 << 10 {
            *self.buffer = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::connection::{CallError, Connection};
    use crate::protocol::InfoCall;

    /// The failure that a client gets for a refusal.
    fn refused(failure: &Failure) -> Failure {
        let (here, there) = UnixStream::pair().expect("a pair");
        ReplyWriter::new(&here, &mut Vec::new()).refuse(failure).expect("sent");
        Connection::over(there).call(&InfoCall {}).expect_err("it is refused").into()
    }

    #[test]
    fn every_kind_comes_over_the_socket_and_back() {
        for &kind in ErrorKind::ALL {
            let sent = Failure::new(kind, Errno::ENOSPC, "pids.max", "is full; empty it");
            let got = refused(&sent);
            if kind == ErrorKind::InvalidParameter {
                assert_eq!((got.kind, got.subject.as_str()), (kind, "parameter pids.max"));
                continue;
            }
            assert_eq!(got, sent, "{kind:?}");
            assert_eq!(got.line(), "pids.max: is full; empty it [ENOSPC]");
            assert!(got.source.is_none(), "{kind:?}");
            let caused = refused(&sent.caused_by(Errno::EIO));
            assert_eq!(caused.source().map(ToString::to_string), Some(Errno::EIO.to_string()), "{kind:?}");
        }
    }

    #[test]
    fn refusal_of_an_older_daemon_has_its_message() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let error = "org.penfold.Control.Refused";
        let parameters = r#"{"errno":2,"name":"ENOENT","message":"/a: there is none"}"#;
        let answer = format!("{{\"error\":\"{error}\",\"parameters\":{parameters}}}\0");
        ReplyWriter::new(&here, &mut Vec::new()).send_bytes(answer.as_bytes()).expect("sent");
        let Err(CallError::Refused(failure)) = Connection::over(there).call(&InfoCall {}) else { panic!() };
        assert_eq!((failure.kind, failure.errno), (ErrorKind::Other, Errno::ENOENT));
        assert_eq!(failure.line(), "/a: there is none [ENOENT]");
    }

    #[test]
    fn other_errors_of_a_call_become_failures() {
        let answer = |error: &str, parameters: &str| {
            let failure = Failure::from(CallError::of_answer(error, parameters));
            (failure.kind, failure.line())
        };
        assert_eq!(
            answer("org.penfold.Control.TooMuch", r#"{"message":"too many connections; close some"}"#),
            (ErrorKind::TooMuch, "call: too many connections; close some [EDQUOT]".into())
        );
        let (kind, line) = answer("org.varlink.service.MethodNotFound", r#"{"method":"a.B"}"#);
        let old = "a.B: the daemon has no such method; it is older than this penfold [ENOSYS]";
        assert_eq!((kind, line.as_str()), (ErrorKind::Unsupported, old));
        let (kind, line) = answer("org.varlink.service.InvalidParameter", r#"{"parameter":"mode"}"#);
        let wrong = "parameter mode: not what the daemon takes; is it of another version? [EINVAL]";
        assert_eq!((kind, line.as_str()), (ErrorKind::InvalidParameter, wrong));
        assert_eq!(answer("org.example.Odd", "{}").0, ErrorKind::Protocol);
        assert_eq!(answer("org.penfold.Control.Refused", "5").0, ErrorKind::Protocol);
        let ended = Failure::from(CallError::from(io::Error::from(io::ErrorKind::UnexpectedEof)));
        assert_eq!((ended.kind, ended.errno), (ErrorKind::Disconnected, Errno::ECONNRESET));
        let broken = Failure::from(CallError::from(io::Error::from(Errno::EPIPE)));
        assert_eq!(broken.line(), "daemon: the connection broke: Broken pipe [EPIPE]");
    }
}
