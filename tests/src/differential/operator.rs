//! The process that performs file operations, under one user, and holds what they open.

use super::operation::{At, Call, NodeKind, Operator, Place};
use super::outcome::Outcome;
use super::reading::{self, Opened};
use super::{passing, wire};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, mkdirat, mknodat, umask};
use nix::sys::uio::{pread, pwrite, writev};
use nix::unistd::{
    AccessFlags, Gid, LinkatFlags, Uid, UnlinkatFlags, Whence, faccessat, fchdir, fchownat, ftruncate,
    linkat, lseek, read, setgroups, setresgid, setresuid, symlinkat, unlinkat, write,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufReader, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The user that is not root.
pub(super) const USER: u32 = 65534;

/// What an operator is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// A new sequence below this directory: nothing open, working directory there, umask 022.
    Begin(PathBuf),
    /// An operation; `safe` says that its data may be written to a file that takes process numbers.
    Perform { call: Call, safe: bool },
}

/// Serves orders on standard input until it ends. `home` is where files are passed on.
pub fn serve(operator: Operator, home: PathBuf) -> io::Result<()> {
    let door = passing::Door::open(operator, home)?;
    if operator == Operator::User {
        setgroups(&[])?;
        setresgid(Gid::from_raw(USER), Gid::from_raw(USER), Gid::from_raw(USER))?;
        setresuid(Uid::from_raw(USER), Uid::from_raw(USER), Uid::from_raw(USER))?;
    }
    let mut input = BufReader::new(io::stdin());
    let mut output = io::stdout();
    let mut hands: Option<Hands> = None;
    loop {
        let order = match wire::get(&mut input) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            order => order?,
        };
        let outcome = match order {
            Order::Begin(root) => {
                drop(hands.take());
                hands = Some(Hands::new(&root)?);
                Outcome::Done
            }
            Order::Perform { call, safe } => {
                let hands = hands.as_mut().ok_or_else(|| io::Error::other("no Begin"))?;
                hands.perform(&call, safe, &door).unwrap_or_else(Outcome::failed)
            }
        };
        wire::put(&mut output, &outcome)?;
    }
}

/// What an operator holds.
struct Hands {
    root: OwnedFd,
    open: HashMap<u32, Opened>,
}

impl Hands {
    fn new(root: &PathBuf) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, root, flags, Mode::empty())?;
        fchdir(&root)?;
        umask(Mode::from_bits_truncate(0o022));
        Ok(Self { root, open: HashMap::new() })
    }

    fn start(&self, at: At) -> nix::Result<BorrowedFd<'_>> {
        match at {
            At::Root => Ok(self.root.as_fd()),
            At::Cwd => Ok(AT_FDCWD),
            At::Handle(handle) => Ok(self.handle(handle)?.fd.as_fd()),
        }
    }

    fn handle(&self, handle: u32) -> nix::Result<&Opened> {
        self.open.get(&handle).ok_or(Errno::EBADF)
    }

    fn open(&self, place: &Place, flags: i32, mode: u32) -> nix::Result<Opened> {
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC;
        let start = self.start(place.at)?;
        let fd = openat(start, &*place.path.0, flags, Mode::from_bits_truncate(mode))?;
        let members = place.is_membership();
        let root = members && self.is_of_root(place)?;
        Ok(Opened { fd, members, root, state: place.path.0.ends_with(b"freezer.state") })
    }

    /// Is this a file of the root directory itself?
    fn is_of_root(&self, place: &Place) -> nix::Result<bool> {
        let path = &place.path.0;
        let parent = path.iter().rposition(|b| *b == b'/').map_or(&b"."[..], |slash| &path[..slash]);
        if place.at == At::Root && !parent.windows(2).any(|dots| dots == b"..") {
            return Ok(parent.split(|b| *b == b'/').all(|name| name.is_empty() || name == b"."));
        }
        let parent = fstatat(self.start(place.at)?, parent, AtFlags::empty())?;
        let root = fstat(&self.root)?;
        Ok((parent.st_ino, parent.st_dev) == (root.st_ino, root.st_dev))
    }

    fn perform(&mut self, call: &Call, safe: bool, door: &passing::Door) -> nix::Result<Outcome> {
        let in_cwd = |place: &&Place| place.at == At::Cwd && place.path.0.starts_with(b"./");
        if call.places().iter().any(in_cwd) && is_cwd_removed() {
            return Ok(Outcome::Skipped);
        }
        match call {
            Call::Mkdir { place, mode } => {
                mkdirat(self.start(place.at)?, &*place.path.0, Mode::from_bits_retain(*mode))?;
            }
            Call::Rmdir { place } => {
                unlinkat(self.start(place.at)?, &*place.path.0, UnlinkatFlags::RemoveDir)?;
            }
            Call::Rename { from, to, flags } => {
                let flags = RenameFlags::from_bits_retain(*flags);
                let (start, end) = (self.start(from.at)?, self.start(to.at)?);
                renameat2(start, &*from.path.0, end, &*to.path.0, flags)?;
            }
            Call::Unlink { place } => {
                unlinkat(self.start(place.at)?, &*place.path.0, UnlinkatFlags::NoRemoveDir)?;
            }
            Call::Symlink { place } => symlinkat("target", self.start(place.at)?, &*place.path.0)?,
            Call::Link { from, place } => {
                let (start, end) = (self.start(from.at)?, self.start(place.at)?);
                linkat(start, &*from.path.0, end, &*place.path.0, LinkatFlags::empty())?;
            }
            Call::Mknod { place, kind } => {
                let kind = match kind {
                    NodeKind::Regular => SFlag::S_IFREG,
                    NodeKind::Fifo => SFlag::S_IFIFO,
                    NodeKind::Device => SFlag::S_IFCHR,
                };
                let mode = Mode::from_bits_retain(0o644);
                mknodat(self.start(place.at)?, &*place.path.0, kind, mode, 0)?;
            }
            Call::Chmod { place, mode } => {
                let mode = Mode::from_bits_retain(*mode);
                fchmodat(self.start(place.at)?, &*place.path.0, mode, FchmodatFlags::FollowSymlink)?;
            }
            Call::Chown { place, uid, gid } => {
                let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
                fchownat(self.start(place.at)?, &*place.path.0, uid, gid, AtFlags::empty())?;
            }
            Call::Access { place, mode } => {
                let mode = AccessFlags::from_bits_truncate(*mode);
                faccessat(self.start(place.at)?, &*place.path.0, mode, AtFlags::empty())?;
            }
            Call::Chdir { place } => {
                let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
                fchdir(openat(self.start(place.at)?, &*place.path.0, flags, Mode::empty())?)?;
            }
            Call::Umask { mask } => {
                umask(Mode::from_bits_truncate(*mask));
            }
            Call::Stat { place } => {
                let status = fstatat(self.start(place.at)?, &*place.path.0, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                return Ok(Outcome::Status(reading::status(&status)));
            }
            Call::Tree => return reading::tree(&self.root),
            Call::Truncate { place, len } => {
                ftruncate(&self.open(place, OFlag::O_WRONLY.bits(), 0)?.fd, *len)?;
            }
            Call::List { place, buffer } => {
                let flags = (OFlag::O_RDONLY | OFlag::O_DIRECTORY).bits();
                return reading::list(&self.open(place, flags, 0)?.fd, *buffer);
            }
            Call::Read { place, sizes } => {
                return reading::whole(&self.open(place, OFlag::O_RDONLY.bits(), 0)?, sizes);
            }
            Call::Write { place, flags, data } => {
                let opened = self.open(place, *flags, 0o644)?;
                return written(&opened, safe, |fd| write(fd, &data.0));
            }
            Call::Open { handle, place, flags, mode } => {
                let opened = self.open(place, *flags, *mode)?;
                self.open.insert(*handle, opened);
            }
            _ => return self.perform_on_handle(call, safe, door),
        }
        Ok(Outcome::Done)
    }

    fn perform_on_handle(&mut self, call: &Call, safe: bool, door: &passing::Door) -> nix::Result<Outcome> {
        match call {
            Call::HandleRead { handle, len } => {
                let opened = self.handle(*handle)?;
                reading::part(opened, *len, |buffer| read(&opened.fd, buffer))
            }
            Call::HandlePread { handle, len, offset } => {
                let opened = self.handle(*handle)?;
                reading::part(opened, *len, |buffer| pread(&opened.fd, buffer, *offset))
            }
            Call::HandleWrite { handle, data } => {
                written(self.handle(*handle)?, safe, |fd| write(fd, &data.0))
            }
            Call::HandlePwrite { handle, data, offset } => {
                written(self.handle(*handle)?, safe, |fd| pwrite(fd, &data.0, *offset))
            }
            Call::HandleWritev { handle, parts } => {
                let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(&part.0)).collect();
                written(self.handle(*handle)?, safe, |fd| writev(fd, &slices))
            }
            Call::HandleSeek { handle, offset, whence } => {
                let whence = match whence {
                    0 => Whence::SeekSet,
                    1 => Whence::SeekCur,
                    _ => Whence::SeekEnd,
                };
                let opened = self.handle(*handle)?;
                let offset = lseek(&opened.fd, *offset, whence)?.cast_unsigned();
                let root = opened.root;
                Ok(if opened.members {
                    Outcome::MembersOffset { offset, root }
                } else {
                    Outcome::Count(offset)
                })
            }
            Call::HandleStat { handle } => {
                let status = fstat(&self.handle(*handle)?.fd)?;
                Ok(Outcome::Status(reading::status(&status)))
            }
            Call::HandleTruncate { handle, len } => Ok(ftruncate(&self.handle(*handle)?.fd, *len)?.into()),
            Call::HandleChmod { handle, mode } => {
                Ok(fchmod(&self.handle(*handle)?.fd, Mode::from_bits_retain(*mode))?.into())
            }
            Call::HandleList { handle, buffer } => reading::list(&self.handle(*handle)?.fd, *buffer),
            Call::Close { handle } => Ok(self.open.remove(handle).map(drop).ok_or(Errno::EBADF)?.into()),
            Call::Send { handle } => Ok(door.send(self.handle(*handle)?)?.into()),
            Call::Receive { handle } => {
                self.open.insert(*handle, door.receive()?);
                Ok(Outcome::Done)
            }
            _ => unreachable!("{call:?} is not an operation on a handle"),
        }
    }
}

/// What a control file there is depends on who has it open (L52).
fn is_cwd_removed() -> bool {
    std::fs::read_link("/proc/self/cwd")
        .is_ok_and(|cwd| cwd.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

/// Writes, but never a number that might be that of a process of the machine to a file that moves processes.
fn written(
    opened: &Opened,
    safe: bool,
    write: impl FnOnce(&OwnedFd) -> nix::Result<usize>,
) -> nix::Result<Outcome> {
    if opened.members && !safe {
        return Ok(Outcome::Skipped);
    }
    write(&opened.fd).map(|n| Outcome::Count(n as u64))
}
