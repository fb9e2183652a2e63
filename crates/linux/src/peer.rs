//! Unix sockets: bytes together with descriptors, the peer's process and its groups.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use penfold_core::Tid;

use crate::proc::start_time;

/// The socket option `SO_PEERPIDFD`, since Linux 6.5. The C library's bindings lack it.
const SO_PEERPIDFD: libc::c_int = 77;

/// The most descriptors that the kernel passes with one message (`SCM_MAX_FD`).
const MOST: usize = 253;

/// The result of one recvmsg(2).
#[derive(Debug, Default)]
pub struct Received {
    /// The number of bytes; 0 when the peer has closed its end.
    pub length: usize,
    /// The descriptors, close-on-exec.
    pub files: Vec<OwnedFd>,
    /// Whether descriptors were lost: more came than were to be received, or this process has too many open.
    pub lost_files: bool,
}

/// Space for one control message with descriptors, aligned as the header requires.
#[repr(C)]
union ControlBuffer {
    header: libc::cmsghdr,
    bytes: [u8; mem::size_of::<libc::cmsghdr>() + MOST * mem::size_of::<RawFd>() + 8],
}

/// Receives bytes and at most `files` of the descriptors that came with them, without waiting. An interrupted call is
/// made again.
///
/// # Errors
/// Those of recvmsg(2): `EAGAIN` if there is nothing to receive.
pub fn receive(socket: &UnixStream, buffer: &mut [u8], files: usize) -> io::Result<Received> {
    let mut control = MaybeUninit::<ControlBuffer>::uninit();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data, for which zero is a valid value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: computes with numbers only.
    message.msg_controllen =
        unsafe { libc::CMSG_LEN((files.min(MOST) * mem::size_of::<RawFd>()) as u32) } as usize;
    let length = loop {
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
        // SAFETY: the kernel writes at most the given lengths, into buffers that outlive the call.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        match Errno::result(length) {
            Ok(length) => break length as usize,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    };
    let mut files = Vec::new();
    // SAFETY: msg_controllen says how much of the buffer the kernel has filled.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return headers inside the part that the kernel has filled.
        let (level, kind, end) = unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len) };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: computes with numbers only.
            let start = unsafe { libc::CMSG_LEN(0) } as usize;
            for index in 0..(end - start) / mem::size_of::<RawFd>() {
                let mut number: RawFd = -1;
                // SAFETY: the message holds that many numbers. They may be unaligned, so bytes are copied.
                unsafe {
                    let from = libc::CMSG_DATA(header).add(index * mem::size_of::<RawFd>());
                    ptr::copy_nonoverlapping(from, (&raw mut number).cast::<u8>(), mem::size_of::<RawFd>());
                }
                // SAFETY: the kernel has just installed this descriptor for this process, and no other code has its
                // number.
                files.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: `header` is one that CMSG_FIRSTHDR or CMSG_NXTHDR has returned for this message.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(Received { length, files, lost_files: message.msg_flags & libc::MSG_CTRUNC != 0 })
}

/// A process that keeps its meaning when its number is used again.
///
/// A fact from `/proc` belongs to this process if [`PeerProcess::lives`] is true after the fact was read.
#[derive(Debug)]
pub struct PeerProcess {
    pid: Tid,
    known_by: ProcessKey,
}

#[derive(Debug)]
enum ProcessKey {
    /// A pidfd, which never means another process.
    Descriptor(OwnedFd),
    /// The start time. Before Linux 6.5 a number that is used again between connect(2) and this look is not noticed.
    Start(u64),
    /// The process had ended already.
    Ended,
}

impl PeerProcess {
    /// The process that connected this socket, which `SO_PEERCRED` names `pid`.
    pub fn of(socket: &UnixStream, pid: i32) -> PeerProcess {
        match peer_descriptor(socket) {
            Ok(descriptor) => PeerProcess { pid: Tid(pid), known_by: ProcessKey::Descriptor(descriptor) },
            Err(Errno::ENOPROTOOPT) => PeerProcess::with_number(pid),
            Err(_) => PeerProcess { pid: Tid(pid), known_by: ProcessKey::Ended },
        }
    }

    /// The process that has this number now.
    pub fn with_number(pid: i32) -> PeerProcess {
        let known_by = start_time(Tid(pid)).map_or(ProcessKey::Ended, ProcessKey::Start);
        PeerProcess { pid: Tid(pid), known_by }
    }

    /// The number of the process, which can be another process's once this one has ended.
    pub fn pid(&self) -> Tid {
        self.pid
    }

    /// Whether the process has not ended. A zombie has.
    pub fn lives(&self) -> bool {
        match &self.known_by {
            ProcessKey::Descriptor(descriptor) => {
                let mut ended = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
                poll(&mut ended, PollTimeout::ZERO) == Ok(0)
            }
            ProcessKey::Start(start) => start_time(self.pid) == Some(*start),
            ProcessKey::Ended => false,
        }
    }
}

fn peer_descriptor(socket: &UnixStream) -> Result<OwnedFd, Errno> {
    let mut number: RawFd = -1;
    let mut length = mem::size_of::<RawFd>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into a number of that size.
    let answer = unsafe {
        let to = (&raw mut number).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, to, &raw mut length)
    };
    Errno::result(answer)?;
    // SAFETY: the kernel has just installed this descriptor, close-on-exec, and no other code has its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The supplementary groups that the peer had when it connected; `None` before Linux 4.13.
pub fn groups(socket: &UnixStream) -> Option<Vec<u32>> {
    // NGROUPS_MAX
    let mut groups = vec![0_u32; 65536];
    let mut length = mem::size_of_val(groups.as_slice()) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into a buffer of that length.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return None;
    }
    groups.truncate(length as usize / mem::size_of::<u32>());
    groups.shrink_to_fit();
    Some(groups)
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::{IoSlice, Read, Write};

    use super::*;

    #[test]
    fn bytes_come_with_their_descriptors() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let rights = [writer.as_raw_fd(), writer.as_raw_fd()];
        let parts = [IoSlice::new(b"hello")];
        sendmsg::<()>(
            there.as_raw_fd(),
            &parts,
            &[ControlMessage::ScmRights(&rights)],
            MsgFlags::empty(),
            None,
        )
        .expect("sent");
        drop((writer, there));
        let mut buffer = [0; 16];
        let received = receive(&here, &mut buffer, 2).expect("received");
        assert_eq!((&buffer[..received.length], received.files.len()), (&b"hello"[..], 2));
        assert!(!received.lost_files);
        for file in &received.files {
            let flags = fcntl(file.as_fd(), FcntlArg::F_GETFD).expect("flags");
            assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        }
        let mut files = received.files.into_iter().map(std::fs::File::from);
        files.next().expect("one").write_all(b"through").expect("it is the pipe");
        drop(files);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("read");
        assert_eq!(text, "through");
        assert_eq!(receive(&here, &mut buffer, 2).expect("the end").length, 0);
    }

    #[test]
    fn descriptors_beyond_those_wanted_are_not_opened() {
        for (wanted, passed) in [(0, 1), (1, 2), (3, 5)] {
            let (here, there) = UnixStream::pair().expect("a pair");
            let rights = vec![there.as_raw_fd(); passed];
            let parts = [IoSlice::new(b"x")];
            let rights = [ControlMessage::ScmRights(&rights)];
            sendmsg::<()>(there.as_raw_fd(), &parts, &rights, MsgFlags::empty(), None).expect("sent");
            let received = receive(&here, &mut [0; 16], wanted).expect("received");
            assert_eq!((received.length, received.files.len(), received.lost_files), (1, wanted, true));
        }
    }

    #[test]
    fn process_with_a_number_lives_until_it_ends() {
        let (here, _there) = UnixStream::pair().expect("a pair");
        let own = std::process::id().cast_signed();
        assert!(PeerProcess::of(&here, own).lives() && PeerProcess::with_number(own).lives());
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat");
        let process = PeerProcess::with_number(child.id().cast_signed());
        assert!(process.lives());
        drop(child.stdin.take());
        child.wait().expect("it ends");
        assert!(!process.lives() && !PeerProcess::with_number(i32::MAX).lives());
    }

    #[test]
    fn groups_of_the_peer_are_known() {
        let (here, _there) = UnixStream::pair().expect("a pair");
        let mut own: Vec<u32> =
            nix::unistd::getgroups().expect("groups").into_iter().map(nix::unistd::Gid::as_raw).collect();
        own.sort_unstable();
        let mut theirs = groups(&here).expect("since Linux 4.13");
        theirs.sort_unstable();
        assert_eq!(theirs, own);
    }
}
