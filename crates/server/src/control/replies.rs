//! Writing answers, for a bounded time.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use serde::Serialize;

use crate::failure::Failure;
use crate::protocol::{Refused, TooMuch};

/// The answers to one call. An error means that the connection is of no more use.
pub(super) struct ReplyWriter<'a> {
    stream: &'a UnixStream,
    buffer: &'a mut Vec<u8>,
    /// The client takes more than one answer.
    pub(super) more: bool,
    /// The client wants none.
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
    /// The stream must have a write timeout, and the buffer is any that may be used.
    pub(super) fn new(stream: &'a UnixStream, buffer: &'a mut Vec<u8>) -> ReplyWriter<'a> {
        ReplyWriter { stream, buffer, more: false, oneway: false }
    }

    /// The last answer.
    pub(super) fn reply<R: Serialize>(&mut self, parameters: &R) -> io::Result<()> {
        self.send(&ReplyBody { parameters, continues: false })
    }

    /// An answer with more to come.
    pub(super) fn continue_with<R: Serialize>(&mut self, parameters: &R) -> io::Result<()> {
        self.send(&ReplyBody { parameters, continues: true })
    }

    /// The operation is refused.
    pub(super) fn refuse(&mut self, failure: &Failure) -> io::Result<()> {
        let Failure { errno, message } = failure;
        let name = format!("{errno:?}");
        let parameters = Refused { errno: i64::from(*errno as i32), name, message: message.clone() };
        self.error("org.penfold.Control.Refused", &parameters)
    }

    /// The client asks for too much.
    pub(super) fn too_much(&mut self, message: String) -> io::Result<()> {
        self.error("org.penfold.Control.TooMuch", &TooMuch { message })
    }

    /// One of varlink's own errors: `{error}` with one parameter.
    pub(super) fn standard_error(&mut self, error: &str, name: &str, value: &str) -> io::Result<()> {
        let parameters: serde_json::Map<_, _> = [(name.to_owned(), value.into())].into_iter().collect();
        self.error(&format!("org.varlink.service.{error}"), &parameters)
    }

    fn error<E: Serialize>(&mut self, error: &str, parameters: &E) -> io::Result<()> {
        self.send(&ErrorBody { error, parameters })
    }

    /// Where the answers go.
    pub(super) fn stream(&self) -> &'a UnixStream {
        self.stream
    }

    fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut *self.buffer, message)?;
        self.buffer.push(0);
        self.flush()
    }

    /// Sends a whole message that ends in NUL.
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
        // one large answer must not be kept for all the time that a client is idle
        if self.buffer.capacity() > 64 << 10 {
            *self.buffer = Vec::new();
        }
        Ok(())
    }
}
