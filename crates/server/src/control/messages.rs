//! Reading messages from a connection, bounded in length, time and descriptors.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use penfold_linux::peer;

use super::Limits;

/// The bytes of one read, and of the buffer that a connection keeps between messages.
const CHUNK: usize = 4096;
/// Longer messages count against [`Limits::large_messages`], which all connections share.
const LARGE: usize = 64 << 10;

static LARGE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Why no message could be received.
#[derive(Debug)]
pub(super) enum ReceiveError {
    /// The connection broke, or a message took too long.
    Broken(io::Error),
    /// The client sends more than it may. The text says which limit it reached.
    TooMuch(String),
}

/// A message without its NUL, and the descriptors that came with it.
pub(super) type ReceivedMessage<'a> = (&'a [u8], Vec<OwnedFd>);

/// The reader of a connection's messages.
pub(super) struct MessageReader<'a> {
    stream: &'a UnixStream,
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are filled, and how many of them were returned already.
    filled: usize,
    taken: usize,
    files: Vec<OwnedFd>,
    /// The index in the buffer where the message begins that `files` came with.
    files_at: usize,
    /// This connection's part of [`LARGE_BYTES`].
    large: usize,
}

impl<'a> MessageReader<'a> {
    pub(super) fn new(stream: &'a UnixStream, limits: Limits) -> MessageReader<'a> {
        MessageReader {
            stream,
            limits,
            buffer: vec![0; CHUNK],
            filled: 0,
            taken: 0,
            files: Vec::new(),
            files_at: 0,
            large: 0,
        }
    }

    /// The next message; `None` when the client has closed the connection.
    pub(super) fn next(&mut self) -> Result<Option<ReceivedMessage<'_>>, ReceiveError> {
        self.make_room();
        let mut looked_at = self.taken;
        let mut waits = false;
        let end = loop {
            let fresh = &self.buffer[looked_at..self.filled];
            if let Some(end) = fresh.iter().position(|&byte| byte == 0) {
                break looked_at + end;
            }
            looked_at = self.filled;
            if self.filled - self.taken > self.limits.message {
                let most = self.limits.message;
                return Err(ReceiveError::TooMuch(format!("a message may have {most} bytes at most")));
            }
            // an idle client may be silent for ever, but not in the middle of a message
            if self.filled > self.taken && !waits {
                waits = true;
                self.stream.set_read_timeout(Some(self.limits.patience)).map_err(ReceiveError::Broken)?;
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        if waits {
            self.stream.set_read_timeout(None).map_err(ReceiveError::Broken)?;
        }
        let start = self.taken;
        self.taken = end + 1;
        let owns = !self.files.is_empty() && self.files_at == start;
        let files = if owns { std::mem::take(&mut self.files) } else { Vec::new() };
        Ok(Some((&self.buffer[start..end], files)))
    }

    /// Moves the unread bytes to the front, and frees the memory of a long message.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.files_at = self.files_at.saturating_sub(self.taken);
        self.taken = 0;
        if self.buffer.len() > LARGE && self.filled < CHUNK {
            self.buffer.truncate(CHUNK);
            self.buffer.shrink_to_fit();
            LARGE_BYTES.fetch_sub(std::mem::take(&mut self.large), Ordering::Relaxed);
        }
    }

    /// Reads once and returns the number of bytes; 0 when the client has closed the connection.
    fn fill(&mut self) -> Result<usize, ReceiveError> {
        if self.filled == self.buffer.len() {
            self.grow()?;
        }
        let received =
            peer::receive(self.stream, &mut self.buffer[self.filled..]).map_err(ReceiveError::Broken)?;
        self.filled += received.length;
        if received.lost_files {
            return Err(ReceiveError::TooMuch(
                "the daemon has too many open files to take those passed".into(),
            ));
        }
        if !received.files.is_empty() {
            // The kernel ends a read after the bytes that descriptors came with. So they belong to the last message
            // that has begun.
            let before = &self.buffer[self.taken..(self.filled - 1).max(self.taken)];
            self.files_at = self.taken + before.iter().rposition(|&byte| byte == 0).map_or(0, |nul| nul + 1);
            self.files.extend(received.files);
        }
        if self.files.len() > self.limits.files {
            let most = self.limits.files;
            return Err(ReceiveError::TooMuch(format!("a message may have {most} descriptors at most")));
        }
        Ok(received.length)
    }

    /// Doubles the buffer.
    fn grow(&mut self) -> Result<(), ReceiveError> {
        let wanted = self.buffer.len() * 2;
        if wanted > LARGE {
            let more = wanted - self.large;
            let all = LARGE_BYTES.fetch_add(more, Ordering::Relaxed) + more;
            self.large = wanted;
            if all > self.limits.large_messages {
                return Err(ReceiveError::TooMuch("too many long messages at once; try again".into()));
            }
        }
        self.buffer.resize(wanted, 0);
        Ok(())
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        LARGE_BYTES.fetch_sub(self.large, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::*;

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().expect("a pair")
    }

    fn send_file(stream: &UnixStream, text: &[u8], count: usize) {
        let numbers = vec![stream.as_raw_fd(); count];
        let rights = [ControlMessage::ScmRights(&numbers)];
        let sent = sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(text)], &rights, MsgFlags::empty(), None);
        assert_eq!(sent, Ok(text.len()));
    }

    #[test]
    fn messages_are_split_at_nul_whatever_the_reads() {
        let (here, mut there) = pair();
        there.write_all(b"one\0two\0thr").expect("sent");
        let mut reader = MessageReader::new(&here, Limits::default());
        let mut next = || reader.next().expect("no problem").map(|(text, _)| text.to_vec());
        assert_eq!(next(), Some(b"one".to_vec()));
        assert_eq!(next(), Some(b"two".to_vec()));
        there.write_all(b"ee\0").expect("sent");
        assert_eq!(next(), Some(b"three".to_vec()));
        let long = vec![b'x'; 300_000];
        let writer = std::thread::spawn(move || {
            there.write_all(&[&long[..], b"\0after\0"].concat()).expect("sent");
        });
        assert_eq!(next().map(|text| text.len()), Some(300_000));
        assert_eq!(next(), Some(b"after".to_vec()));
        writer.join().expect("it has written");
        assert_eq!(next(), None);
    }

    #[test]
    fn descriptors_belong_to_their_message() {
        let (here, there) = pair();
        (&there).write_all(b"plain\0").expect("sent");
        send_file(&there, b"with\0", 2);
        (&there).write_all(b"plain\0").expect("sent");
        let mut reader = MessageReader::new(&here, Limits::default());
        for (text, files) in [(&b"plain"[..], 0), (b"with", 2), (b"plain", 0)] {
            let (got, passed) = reader.next().expect("no problem").expect("a message");
            assert_eq!((got, passed.len()), (text, files));
        }
    }

    #[test]
    fn message_over_a_limit_is_an_error() {
        let limits =
            Limits { message: 100, files: 3, patience: Duration::from_millis(50), ..Limits::default() };
        let (here, mut there) = pair();
        there.write_all(&[b'x'; 5000]).expect("sent");
        assert!(matches!(MessageReader::new(&here, limits).next(), Err(ReceiveError::TooMuch(_))));
        let (here, there) = pair();
        send_file(&there, b"x", 4);
        assert!(matches!(MessageReader::new(&here, limits).next(), Err(ReceiveError::TooMuch(_))));
        let (here, mut there) = pair();
        there.write_all(b"half a mess").expect("sent");
        assert!(matches!(MessageReader::new(&here, limits).next(), Err(ReceiveError::Broken(_))));
    }
}
