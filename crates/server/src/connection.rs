//! The client's side of the control socket.

use std::io::{self, IoSlice, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::address::Address;
pub use crate::client_errors::{CallError, ConnectError, no_answer};
use crate::interruption::Interruption;
use crate::protocol::Method;

/// A connection to a daemon, for one call after the other.
///
/// ```no_run
/// # use penfold_server::{address::Address, connection::Connection, protocol::InfoCall};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut connection = Connection::connect(&Address::of_client(None)?)?;
/// println!("penfold {}", connection.call(&InfoCall {})?.version);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    /// Bytes of `received` that are read already.
    taken: usize,
    /// True while the last call has answers that are not read yet.
    unfinished: bool,
    /// Ends the waits for the daemon.
    interruption: Option<Arc<Interruption>>,
}

#[derive(Serialize)]
struct CallMessage<'a, M> {
    method: &'static str,
    parameters: &'a M,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

#[derive(Deserialize)]
struct ReplyMessage<'a> {
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    continues: Option<bool>,
    error: Option<String>,
}

impl Connection {
    /// Connects to a daemon.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(address: &Address) -> Result<Connection, ConnectError> {
        let stream = address.connect().map_err(|error| ConnectError::of_connect(address, error))?;
        Ok(Connection::over(stream))
    }

    /// Connects to a daemon. A signal ends this wait for the daemon, and every later one of the connection.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_interruptible(
        address: &Address,
        interruption: Arc<Interruption>,
    ) -> Result<Connection, ConnectError> {
        let stream = address.connect_interruptible(&interruption).map_err(|error| match error {
            Some(error) => ConnectError::of_connect(address, error),
            None => ConnectError::NoAnswer(address.clone()),
        })?;
        Ok(Connection { interruption: Some(interruption), ..Connection::over(stream) })
    }

    /// A connection over a socket that is connected already.
    pub fn over(stream: UnixStream) -> Connection {
        Connection { stream, received: Vec::new(), taken: 0, unfinished: false, interruption: None }
    }

    /// Sets how long to wait for an answer; `None` waits for ever. After a timeout the connection is useless: the
    /// late answer would be taken for that of the next call.
    ///
    /// # Errors
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    /// Calls a method and waits for its reply.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call<M: Method>(&mut self, call: &M) -> Result<M::Reply, CallError> {
        self.call_with(call, &[])
    }

    /// As [`Connection::call`], with descriptors. The call names each by its index in `files`.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call_with<M: Method>(
        &mut self,
        call: &M,
        files: &[BorrowedFd<'_>],
    ) -> Result<M::Reply, CallError> {
        self.send(call, false, files)?;
        self.receive().map(|(reply, _)| reply)
    }

    /// Calls a method that answers more than once, and returns its replies one after the other. No further call is
    /// possible on this connection before all of them are read.
    ///
    /// # Errors
    /// [`CallError`], also for each reply.
    pub fn call_more<M: Method>(
        &mut self,
        call: &M,
        files: &[BorrowedFd<'_>],
    ) -> Result<Replies<'_, M>, CallError> {
        self.send(call, true, files)?;
        Ok(Replies { connection: self, method: PhantomData })
    }

    fn send<M: Method>(&mut self, call: &M, more: bool, files: &[BorrowedFd<'_>]) -> Result<(), CallError> {
        if self.unfinished {
            return Err(CallError::Protocol(
                "an earlier call on this connection was not read to its end".into(),
            ));
        }
        let request = CallMessage { method: M::NAME, parameters: call, more };
        let mut message =
            serde_json::to_vec(&request).map_err(|error| CallError::Protocol(error.to_string()))?;
        message.push(0);
        let sent = self.send_all(&message, files)?;
        // EPIPE: the daemon has turned this client away, and its reason is there to be read
        if sent.is_err() && sent != Err(Errno::EPIPE) {
            return sent.map_err(|errno| CallError::Transport(errno.into()));
        }
        self.unfinished = true;
        Ok(())
    }

    /// Reads the next answer, and whether another one follows.
    fn receive<R: DeserializeOwned>(&mut self) -> Result<(R, bool), CallError> {
        let end = self.next_message()?;
        let message = &self.received[self.taken..end];
        self.taken = end + 1;
        let answer: ReplyMessage<'_> = serde_json::from_slice(message).map_err(CallError::unreadable)?;
        let continues = answer.continues.unwrap_or(false);
        self.unfinished = continues;
        let parameters = answer.parameters.map_or("{}", RawValue::get);
        match answer.error {
            None => Ok((serde_json::from_str(parameters).map_err(CallError::unreadable)?, continues)),
            Some(error) => Err(CallError::of_answer(&error, parameters)),
        }
    }

    /// Waits until the socket is ready, if a signal can end the wait. Otherwise the next call waits.
    fn wait(&self, events: PollFlags) -> Result<(), CallError> {
        let Some(interruption) = &self.interruption else { return Ok(()) };
        let mut wait = interruption.begin()?;
        wait.until_ready(self.stream.as_fd(), events).map_err(|_| CallError::NoAnswer)
    }

    /// Sends a whole message, the descriptors with its first byte. Raises no SIGPIPE when the daemon is gone. The inner
    /// error is that of send(2).
    fn send_all(&self, message: &[u8], files: &[BorrowedFd<'_>]) -> Result<Result<(), Errno>, CallError> {
        let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let rights = if numbers.is_empty() { &[][..] } else { &rights[..] };
        let mut flags = MsgFlags::MSG_NOSIGNAL;
        flags.set(MsgFlags::MSG_DONTWAIT, self.interruption.is_some());
        let mut rest = message;
        while !rest.is_empty() {
            let rights = if rest.len() == message.len() { rights } else { &[] };
            match sendmsg::<()>(self.stream.as_raw_fd(), &[IoSlice::new(rest)], rights, flags, None) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if self.interruption.is_some() => self.wait(PollFlags::POLLOUT)?,
                Err(errno) => return Ok(Err(errno)),
            }
        }
        Ok(Ok(()))
    }

    /// Reads until `received` has a whole message, and returns the index of the NUL at its end.
    fn next_message(&mut self) -> Result<usize, CallError> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let mut looked_at = 0;
        loop {
            if let Some(end) = self.received[looked_at..].iter().position(|&byte| byte == 0) {
                return Ok(looked_at + end);
            }
            looked_at = self.received.len();
            let mut chunk = [0_u8; 4096];
            self.wait(PollFlags::POLLIN)?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The replies of one call.
#[derive(Debug)]
pub struct Replies<'a, M> {
    connection: &'a mut Connection,
    method: PhantomData<M>,
}

impl<M> Replies<'_, M> {
    /// From now on a signal has its usual effect also while the program waits for a reply.
    pub fn without_interruption(&mut self) {
        self.connection.interruption = None;
    }

    /// True if bytes of the next reply have been read already, all or a part. poll(2) does not see these bytes.
    pub fn is_ready(&self) -> bool {
        self.connection.taken < self.connection.received.len()
    }
}

impl<M> AsFd for Replies<'_, M> {
    /// The socket, to wait with poll(2) for the next reply. Ask [`Replies::is_ready`] first.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl<M: Method> Iterator for Replies<'_, M> {
    type Item = Result<M::Reply, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.connection.unfinished {
            return None;
        }
        let reply = self.connection.receive();
        if matches!(reply, Err(CallError::Transport(_) | CallError::Protocol(_) | CallError::NoAnswer)) {
            self.connection.unfinished = false;
        }
        Some(reply.map(|(reply, _)| reply))
    }
}
