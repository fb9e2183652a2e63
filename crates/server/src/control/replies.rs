//! Writing replies.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, sendmsg};
use penfold_core::ErrorKind;
use serde::Serialize;

use super::pool::PoolShare;
use crate::failure::Failure;
use crate::protocol::{Refused, TooMuch};

/// The bytes of the buffer that a connection keeps between replies.
const CHUNK: usize = 4096;
/// Longer replies count against [`Limits::large_replies`](super::Limits::large_replies).
const LARGE: usize = 64 << 10;

/// The writer of replies to one call. An I/O error of a method means that the connection is of no more use.
pub(super) struct ReplyWriter<'a> {
    stream: &'a UnixStream,
    buffer: &'a mut Vec<u8>,
    /// The client's share in the bytes of large replies; `None` for a reply that is always short.
    share: Option<PoolShare>,
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
        ReplyWriter { stream, buffer, share: None, more: false, oneway: false }
    }

    /// Counts large replies in this share. A reply that does not fit becomes the error `TooMuch`.
    pub(super) fn within(self, share: PoolShare) -> ReplyWriter<'a> {
        ReplyWriter { share: Some(share), ..self }
    }

    /// Sends the last reply. `parameters` are dropped before the client has to read.
    pub(super) fn reply<R: Serialize>(&mut self, parameters: R) -> io::Result<()> {
        let written = self.write(&ReplyBody { parameters: &parameters, continues: false });
        drop(parameters);
        self.flush_or_refuse(written)
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
        let written = self.write(message);
        self.flush_or_refuse(written)
    }

    fn write<T: Serialize>(&mut self, message: &T) -> serde_json::Result<()> {
        self.buffer.clear();
        let mut counted = CountedBuffer { buffer: self.buffer, share: self.share.as_mut() };
        serde_json::to_writer(&mut counted, message)?;
        self.buffer.push(0);
        Ok(())
    }

    fn flush_or_refuse(&mut self, written: serde_json::Result<()>) -> io::Result<()> {
        if written.is_err() {
            self.give_back();
            return self.too_much(
                "the replies that this user has not read are too long; read them, or ask for less at once"
                    .into(),
            );
        }
        self.flush()
    }

    /// Frees the memory of a long reply: an idle connection must not keep it.
    fn give_back(&mut self) {
        if self.buffer.capacity() > CHUNK {
            *self.buffer = Vec::new();
        }
        if let Some(share) = &mut self.share {
            share.shrink_to(0);
        }
    }

    /// Sends `message` as it is. It must end in NUL.
    pub(super) fn send_bytes(&mut self, message: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(message);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.oneway {
            self.give_back();
            return Ok(());
        }
        let sent = send_all(self.stream, self.buffer);
        self.give_back();
        sent
    }

    /// Sends a reply that further ones follow, from these texts as they are: no copy of them is made.
    pub(super) fn continue_with_parts(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.oneway {
            return Ok(());
        }
        let all: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let sent = loop {
            match sendmsg::<()>(self.stream.as_raw_fd(), &all, &[], MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                sent => break sent?,
            }
        };
        let mut skipped = sent;
        for part in parts {
            let rest = &part[skipped.min(part.len())..];
            skipped -= part.len() - rest.len();
            send_all(self.stream, rest)?;
        }
        Ok(())
    }
}

fn send_all(stream: &UnixStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match send(stream.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => rest = &rest[sent..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A buffer whose memory above [`LARGE`] is counted before it is taken.
struct CountedBuffer<'a> {
    buffer: &'a mut Vec<u8>,
    share: Option<&'a mut PoolShare>,
}

impl io::Write for CountedBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (length, capacity) = (self.buffer.len() + bytes.len(), self.buffer.capacity());
        if length > capacity {
            let wanted = length.max(capacity + capacity / 2);
            if let Some(share) = self.share.as_mut().filter(|_| wanted > LARGE) {
                let more = wanted.saturating_sub(share.amount());
                share.grow(more).map_err(|_| io::Error::from(io::ErrorKind::QuotaExceeded))?;
            }
            self.buffer.reserve_exact(wanted - self.buffer.len());
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::super::pool::{ClientPool, Holder, PoolLimit};
    use super::*;
    use crate::connection::{CallError, Connection};
    use crate::protocol::{InfoCall, ReadCall, ReadReply};

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

    #[test]
    fn large_replies_of_one_user_are_bounded() {
        let limits = PoolLimit { all: 1 << 20, kept_for_root: 0, of_user: 300 << 10 };
        let pool = ClientPool::new(limits);
        let user = |uid| Holder { uid, administrator: false };
        let answer = |uid, bytes: usize| {
            let (here, there) = UnixStream::pair().expect("a pair");
            let client = std::thread::spawn(move || Connection::over(there).call(&ReadCall::default()));
            let mut buffer = Vec::new();
            let mut replies = ReplyWriter::new(&here, &mut buffer).within(pool.share(user(uid)));
            replies.reply(ReadReply { content: "x".repeat(bytes) }).expect("sent");
            drop(replies);
            assert!(buffer.capacity() <= CHUNK, "the memory is given back");
            client.join().expect("it has ended")
        };
        assert_eq!(answer(7, 200 << 10).expect("it fits").content.len(), 200 << 10);
        assert!(matches!(answer(7, 400 << 10), Err(CallError::TooMuch(_))), "too long");
        let unread = pool.take(user(7), 200 << 10).expect("another reply that waits");
        assert!(matches!(answer(7, 200 << 10), Err(CallError::TooMuch(_))), "too much together");
        assert!(answer(7, 50 << 10).is_ok(), "a short one");
        assert!(answer(8, 200 << 10).is_ok(), "another user's");
        drop(unread);
        assert!(answer(7, 200 << 10).is_ok());
    }
}
