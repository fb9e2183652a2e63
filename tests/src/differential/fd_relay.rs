//! Passes open files from one operator to the other, so that opener and writer differ.

use super::operation::Operator;
use super::reading::OpenedFile;
use nix::errno::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::fs::{Permissions, set_permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

const SPACE: usize = rustix::cmsg_space!(ScmRights(1));

/// The socket at which an operator receives open files, and the path of the other operator's.
pub(super) struct FdRelay {
    listener: UnixListener,
    other: PathBuf,
}

impl FdRelay {
    /// Makes the socket of `operator` in a directory that both share.
    pub(super) fn open(operator: Operator, work_dir: PathBuf) -> io::Result<Self> {
        let other = match operator {
            Operator::Root => Operator::User,
            Operator::User => Operator::Root,
        };
        let own = work_dir.join(format!("relay_{}", operator.name()));
        let listener = UnixListener::bind(&own)?;
        set_permissions(&own, Permissions::from_mode(0o777))?;
        Ok(Self { listener, other: work_dir.join(format!("relay_{}", other.name())) })
    }

    /// Sends a copy of an open file, which waits at the other socket until it is received.
    pub(super) fn send(&self, opened: &OpenedFile) -> nix::Result<()> {
        let stream = UnixStream::connect(&self.other).map_err(crate::ops::errno)?;
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [opened.fd.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let facts = [opened.members, opened.root, opened.state].map(u8::from);
        sendmsg(&stream, &[IoSlice::new(&facts)], &mut control, SendFlags::empty()).map_err(errno)?;
        Ok(())
    }

    /// Receives an open file. `EPROTO` for a message without one.
    pub(super) fn receive(&self) -> nix::Result<OpenedFile> {
        let (stream, _) = self.listener.accept().map_err(crate::ops::errno)?;
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut facts = [0; 3];
        recvmsg(&stream, &mut [IoSliceMut::new(&mut facts)], &mut control, RecvFlags::CMSG_CLOEXEC)
            .map_err(errno)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message
                && let Some(fd) = fds.next()
            {
                let [members, root, state] = facts.map(|fact| fact == 1);
                return Ok(OpenedFile { fd, members, root, state });
            }
        }
        Err(Errno::EPROTO)
    }
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}
