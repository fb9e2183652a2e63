//! Writing replies.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
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
        let Failure { errno, message } = failure;
        let name = format!("{errno:?}");
        let parameters = Refused { errno: i64::from(*errno as i32), name, message: message.clone() };
        self.error("org.penfold.Control.Refused", &parameters)
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
