//! Reading messages from a connection, bounded in length, time and descriptors.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use penfold_linux::peer::{self, Received};

use super::Limits;
use super::pool::{ClientPools, Holder, PoolFull, PoolShare};

/// The bytes of one read, and of the buffer that a connection keeps between messages.
const CHUNK: usize = 4096;
/// Longer messages count against [`Limits::large_messages`], which all connections share.
const LARGE: usize = 64 << 10;

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
    pools: &'a ClientPools,
    holder: Holder,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are filled, and how many of them were returned already.
    filled: usize,
    taken: usize,
    files: Vec<OwnedFd>,
    /// The share of `files` in [`Limits::descriptors`], and of those that came with the call in progress.
    passed: PoolShare,
    in_call: Option<PoolShare>,
    /// The index in the buffer where the message begins that `files` came with.
    files_at: usize,
    /// This connection's share in [`Limits::large_messages`].
    large: PoolShare,
}

impl<'a> MessageReader<'a> {
    pub(super) fn new(
        stream: &'a UnixStream,
        limits: Limits,
        pools: &'a ClientPools,
        holder: Holder,
    ) -> MessageReader<'a> {
        MessageReader {
            stream,
            limits,
            pools,
            holder,
            buffer: vec![0; CHUNK],
            filled: 0,
            taken: 0,
            files: Vec::new(),
            passed: pools.descriptors.share(holder),
            in_call: None,
            files_at: 0,
            large: pools.messages.share(holder),
        }
    }

    /// The next message; `None` when the client has closed the connection. The descriptors of the message before count no
    /// more: its call is over.
    pub(super) fn next(&mut self) -> Result<Option<ReceivedMessage<'_>>, ReceiveError> {
        self.in_call = None;
        self.make_room();
        let mut looked_at = self.taken;
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
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        let start = self.taken;
        self.taken = end + 1;
        let owns = !self.files.is_empty() && self.files_at == start;
        let files = if owns { std::mem::take(&mut self.files) } else { Vec::new() };
        if owns {
            let none = self.pools.descriptors.share(self.holder);
            self.in_call = Some(std::mem::replace(&mut self.passed, none));
        }
        Ok(Some((&self.buffer[start..end], files)))
    }

    /// Moves the unread bytes to the front, and frees the memory of a long message.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.files_at = self.files_at.saturating_sub(self.taken);
        self.taken = 0;
        if self.buffer.len() > CHUNK && self.filled < CHUNK {
            self.buffer.truncate(CHUNK);
            self.buffer.shrink_to_fit();
            self.large.shrink_to(0);
        }
    }

    /// Reads once and returns the number of bytes; 0 when the client has closed the connection.
    fn fill(&mut self) -> Result<usize, ReceiveError> {
        if self.filled == self.buffer.len() {
            self.grow()?;
        }
        let received = self.receive().map_err(ReceiveError::Broken)?;
        self.filled += received.length;
        if !received.files.is_empty() {
            // The kernel ends a read after the bytes that descriptors came with. So they belong to the last message
            // that has begun.
            let before = &self.buffer[self.taken..(self.filled - 1).max(self.taken)];
            self.files_at = self.taken + before.iter().rposition(|&byte| byte == 0).map_or(0, |nul| nul + 1);
            self.files.extend(received.files);
        }
        let lost = received.lost_files;
        if self.files.len() > self.limits.files {
            let most = self.limits.files;
            return Err(ReceiveError::TooMuch(format!("a message may have {most} descriptors at most")));
        }
        if lost {
            let full = "too many descriptors were passed to the daemon; let calls with descriptors end, and try again";
            return Err(ReceiveError::TooMuch(full.into()));
        }
        Ok(received.length)
    }

    /// Waits for bytes and reads once. An idle client may be silent without end, but not in the middle of a message.
    fn receive(&mut self) -> io::Result<Received> {
        let patience = PollTimeout::try_from(self.limits.patience).unwrap_or(PollTimeout::MAX);
        let patience = if self.filled > self.taken { patience } else { PollTimeout::NONE };
        loop {
            match poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)], patience) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let _turn = self.pools.receiving.lock().unwrap_or_else(PoisonError::into_inner);
            // one more than a message may have, so that too many differ from a pool that is empty
            let room = self.passed.grow_up_to((self.limits.files + 1).saturating_sub(self.files.len()));
            let received = peer::receive(self.stream, &mut self.buffer[self.filled..], room);
            let kept = received.as_ref().map_or(0, |received| received.files.len());
            self.passed.shrink_to(self.files.len() + kept);
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }

    /// Doubles the buffer.
    fn grow(&mut self) -> Result<(), ReceiveError> {
        let wanted = self.buffer.len() * 2;
        if wanted > LARGE {
            self.large.grow(wanted - self.large.amount()).map_err(|full| {
                ReceiveError::TooMuch(match full {
                    PoolFull::User => "too many long messages of this user at once; try again".into(),
                    PoolFull::All => "too many long messages at once; try again".into(),
                })
            })?;
        }
        self.buffer.resize(wanted, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::super::pool::PoolLimit;
    use super::*;

    const USER: Holder = Holder { uid: 7, administrator: false };

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
        let pools = ClientPools::new(&Limits::default());
        let (here, mut there) = pair();
        there.write_all(b"one\0two\0thr").expect("sent");
        let mut reader = MessageReader::new(&here, Limits::default(), &pools, USER);
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
        let pools = ClientPools::new(&Limits::default());
        let (here, there) = pair();
        (&there).write_all(b"plain\0").expect("sent");
        send_file(&there, b"with\0", 2);
        (&there).write_all(b"plain\0").expect("sent");
        let mut reader = MessageReader::new(&here, Limits::default(), &pools, USER);
        for (text, files) in [(&b"plain"[..], 0), (b"with", 2), (b"plain", 0)] {
            let (got, passed) = reader.next().expect("no problem").expect("a message");
            assert_eq!((got, passed.len()), (text, files));
        }
    }

    #[test]
    fn message_over_a_limit_is_an_error() {
        let limits =
            Limits { message: 100, files: 3, patience: Duration::from_millis(50), ..Limits::default() };
        let pools = ClientPools::new(&limits);
        let (here, mut there) = pair();
        there.write_all(&[b'x'; 5000]).expect("sent");
        assert!(matches!(
            MessageReader::new(&here, limits, &pools, USER).next(),
            Err(ReceiveError::TooMuch(_))
        ));
        let (here, there) = pair();
        send_file(&there, b"x", 4);
        assert!(matches!(
            MessageReader::new(&here, limits, &pools, USER).next(),
            Err(ReceiveError::TooMuch(_))
        ));
        let (here, mut there) = pair();
        there.write_all(b"half a mess").expect("sent");
        assert!(matches!(
            MessageReader::new(&here, limits, &pools, USER).next(),
            Err(ReceiveError::Broken(_))
        ));
    }
    fn refused(reader: &mut MessageReader<'_>) -> Option<String> {
        match reader.next() {
            Err(ReceiveError::TooMuch(reason)) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn descriptors_of_a_user_are_counted_until_the_call_ends() {
        let limits = Limits {
            files: 3,
            descriptors: PoolLimit { all: 100, kept_for_root: 0, of_user: 5 },
            patience: Duration::from_millis(50),
            ..Limits::default()
        };
        let pools = ClientPools::new(&limits);
        let connections: Vec<_> = (0..3).map(|_| pair()).collect();
        let mut readers: Vec<_> =
            connections.iter().map(|(here, _)| MessageReader::new(here, limits, &pools, USER)).collect();
        for (_, there) in &connections {
            send_file(there, b"call\0", 3);
        }
        assert_eq!(readers[0].next().expect("it fits").expect("a message").1.len(), 3);
        let reason = refused(&mut readers[1]).expect("only two are left");
        assert!(reason.starts_with("too many descriptors"), "{reason}");
        // the first client goes on, so its call is over
        (&connections[0].1).write_all(b"next\0").expect("sent");
        assert_eq!(readers[0].next().expect("it fits").expect("a message").0, b"next");
        readers.remove(1);
        assert_eq!(readers[1].next().expect("it fits").expect("a message").1.len(), 3);
        readers.clear();
        assert_eq!(pools.descriptors.share(USER).grow(5), Ok(()));
    }

    #[test]
    fn long_messages_of_one_user_leave_room_for_another() {
        let limits = Limits {
            large_messages: PoolLimit { all: 1 << 20, kept_for_root: 0, of_user: 300 << 10 },
            patience: Duration::from_millis(50),
            ..Limits::default()
        };
        let pools = ClientPools::new(&limits);
        let long = vec![b'x'; 150_000];
        let begun = |uid| {
            let (here, mut there) = pair();
            there.write_all(&long).expect("the socket has room for it");
            let mut reader = MessageReader::new(&here, limits, &pools, Holder { uid, administrator: false });
            (refused(&mut reader), reader.large.amount())
        };
        assert_eq!(begun(7), (None, 256 << 10));
        let (here, mut there) = pair();
        there.write_all(&long).expect("the socket has room for it");
        let mut held = MessageReader::new(&here, limits, &pools, USER);
        assert_eq!(refused(&mut held), None);
        assert!(begun(7).0.expect("the user's part is taken").contains("of this user"));
        assert_eq!(begun(8).0, None);
        drop(held);
        assert_eq!(begun(7).0, None);
    }
}
