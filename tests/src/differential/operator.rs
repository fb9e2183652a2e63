//! The process that performs file operations as one user, and holds the opened files.

use super::operation::{BaseDir, FileCall, NodeKind, Operator, PathAt};
use super::outcome::OperationOutcome;
use super::reading::{self, OpenedFile};
use super::{fd_relay, wire};
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

/// An order to an operator.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum OperatorOrder {
    /// A new sequence below this directory: nothing open, working directory there, umask 022.
    Begin(PathBuf),
    /// An operation; `safe` says that its data may be written to a file that takes process numbers.
    Perform { call: FileCall, safe: bool },
}

/// Serves orders on standard input until it ends. In `work_dir` open files are passed on.
pub fn serve(operator: Operator, work_dir: PathBuf) -> io::Result<()> {
    let relay = fd_relay::FdRelay::open(operator, work_dir)?;
    if operator == Operator::User {
        setgroups(&[])?;
        setresgid(Gid::from_raw(USER), Gid::from_raw(USER), Gid::from_raw(USER))?;
        setresuid(Uid::from_raw(USER), Uid::from_raw(USER), Uid::from_raw(USER))?;
    }
    let mut input = BufReader::new(io::stdin());
    let mut output = io::stdout();
    let mut files: Option<OperatorFiles> = None;
    loop {
        let order = match wire::get(&mut input) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            order => order?,
        };
        let outcome = match order {
            OperatorOrder::Begin(root) => {
                drop(files.take());
                files = Some(OperatorFiles::new(&root)?);
                OperationOutcome::Done
            }
            OperatorOrder::Perform { call, safe } => {
                let files = files.as_mut().ok_or_else(|| io::Error::other("no Begin"))?;
                files.perform(&call, safe, &relay).unwrap_or_else(OperationOutcome::failed)
            }
        };
        wire::put(&mut output, &outcome)?;
    }
}

/// The files that an operator holds open.
struct OperatorFiles {
    root: OwnedFd,
    open: HashMap<u32, OpenedFile>,
}

impl OperatorFiles {
    fn new(root: &PathBuf) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, root, flags, Mode::empty())?;
        fchdir(&root)?;
        umask(Mode::from_bits_truncate(0o022));
        Ok(Self { root, open: HashMap::new() })
    }

    fn start(&self, at: BaseDir) -> nix::Result<BorrowedFd<'_>> {
        match at {
            BaseDir::Root => Ok(self.root.as_fd()),
            BaseDir::Cwd => Ok(AT_FDCWD),
            BaseDir::Handle(handle) => Ok(self.handle(handle)?.fd.as_fd()),
        }
    }

    fn handle(&self, handle: u32) -> nix::Result<&OpenedFile> {
        self.open.get(&handle).ok_or(Errno::EBADF)
    }

    fn open(&self, place: &PathAt, flags: i32, mode: u32) -> nix::Result<OpenedFile> {
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC;
        let start = self.start(place.at)?;
        let fd = openat(start, &*place.path.0, flags, Mode::from_bits_truncate(mode))?;
        let members = place.is_membership();
        let root = members && self.is_of_root(place)?;
        Ok(OpenedFile { fd, members, root, state: place.path.0.ends_with(b"freezer.state") })
    }

    /// Whether a file is in the root directory itself.
    fn is_of_root(&self, place: &PathAt) -> nix::Result<bool> {
        let path = &place.path.0;
        let parent = path.iter().rposition(|b| *b == b'/').map_or(&b"."[..], |slash| &path[..slash]);
        if place.at == BaseDir::Root && !parent.windows(2).any(|dots| dots == b"..") {
            return Ok(parent.split(|b| *b == b'/').all(|name| name.is_empty() || name == b"."));
        }
        let parent = fstatat(self.start(place.at)?, parent, AtFlags::empty())?;
        let root = fstat(&self.root)?;
        Ok((parent.st_ino, parent.st_dev) == (root.st_ino, root.st_dev))
    }

    fn perform(
        &mut self,
        call: &FileCall,
        safe: bool,
        relay: &fd_relay::FdRelay,
    ) -> nix::Result<OperationOutcome> {
        let in_cwd = |place: &&PathAt| place.at == BaseDir::Cwd && place.path.0.starts_with(b"./");
        if call.places().iter().any(in_cwd) && is_cwd_removed() {
            return Ok(OperationOutcome::Skipped);
        }
        match call {
            FileCall::Mkdir { place, mode } => {
                mkdirat(self.start(place.at)?, &*place.path.0, Mode::from_bits_retain(*mode))?;
            }
            FileCall::Rmdir { place } => {
                unlinkat(self.start(place.at)?, &*place.path.0, UnlinkatFlags::RemoveDir)?;
            }
            FileCall::Rename { from, to, flags } => {
                let flags = RenameFlags::from_bits_retain(*flags);
                let (start, end) = (self.start(from.at)?, self.start(to.at)?);
                renameat2(start, &*from.path.0, end, &*to.path.0, flags)?;
            }
            FileCall::Unlink { place } => {
                unlinkat(self.start(place.at)?, &*place.path.0, UnlinkatFlags::NoRemoveDir)?;
            }
            FileCall::Symlink { place } => symlinkat("target", self.start(place.at)?, &*place.path.0)?,
            FileCall::Link { from, place } => {
                let (start, end) = (self.start(from.at)?, self.start(place.at)?);
                linkat(start, &*from.path.0, end, &*place.path.0, LinkatFlags::empty())?;
            }
            FileCall::Mknod { place, kind } => {
                let kind = match kind {
                    NodeKind::Regular => SFlag::S_IFREG,
                    NodeKind::Fifo => SFlag::S_IFIFO,
                    NodeKind::Device => SFlag::S_IFCHR,
                };
                let mode = Mode::from_bits_retain(0o644);
                mknodat(self.start(place.at)?, &*place.path.0, kind, mode, 0)?;
            }
            FileCall::Chmod { place, mode } => {
                let mode = Mode::from_bits_retain(*mode);
                fchmodat(self.start(place.at)?, &*place.path.0, mode, FchmodatFlags::FollowSymlink)?;
            }
            FileCall::Chown { place, uid, gid } => {
                let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
                fchownat(self.start(place.at)?, &*place.path.0, uid, gid, AtFlags::empty())?;
            }
            FileCall::Access { place, mode } => {
                let mode = AccessFlags::from_bits_truncate(*mode);
                faccessat(self.start(place.at)?, &*place.path.0, mode, AtFlags::empty())?;
            }
            FileCall::Chdir { place } => {
                let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
                fchdir(openat(self.start(place.at)?, &*place.path.0, flags, Mode::empty())?)?;
            }
            FileCall::Umask { mask } => {
                umask(Mode::from_bits_truncate(*mask));
            }
            FileCall::Stat { place } => {
                let status = fstatat(self.start(place.at)?, &*place.path.0, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                return Ok(OperationOutcome::Status(reading::status(&status)));
            }
            FileCall::Tree => return reading::tree(&self.root),
            FileCall::Truncate { place, len } => {
                ftruncate(&self.open(place, OFlag::O_WRONLY.bits(), 0)?.fd, *len)?;
            }
            FileCall::List { place, buffer } => {
                let flags = (OFlag::O_RDONLY | OFlag::O_DIRECTORY).bits();
                return reading::list(&self.open(place, flags, 0)?.fd, *buffer);
            }
            FileCall::Read { place, sizes } => {
                return reading::whole(&self.open(place, OFlag::O_RDONLY.bits(), 0)?, sizes);
            }
            FileCall::Write { place, flags, data } => {
                let opened = self.open(place, *flags, 0o644)?;
                return written(&opened, safe, |fd| write(fd, &data.0));
            }
            FileCall::Open { handle, place, flags, mode } => {
                let opened = self.open(place, *flags, *mode)?;
                self.open.insert(*handle, opened);
            }
            _ => return self.perform_on_handle(call, safe, relay),
        }
        Ok(OperationOutcome::Done)
    }

    fn perform_on_handle(
        &mut self,
        call: &FileCall,
        safe: bool,
        relay: &fd_relay::FdRelay,
    ) -> nix::Result<OperationOutcome> {
        match call {
            FileCall::HandleRead { handle, len } => {
                let opened = self.handle(*handle)?;
                reading::part(opened, *len, |buffer| read(&opened.fd, buffer))
            }
            FileCall::HandlePread { handle, len, offset } => {
                let opened = self.handle(*handle)?;
                reading::part(opened, *len, |buffer| pread(&opened.fd, buffer, *offset))
            }
            FileCall::HandleWrite { handle, data } => {
                written(self.handle(*handle)?, safe, |fd| write(fd, &data.0))
            }
            FileCall::HandlePwrite { handle, data, offset } => {
                written(self.handle(*handle)?, safe, |fd| pwrite(fd, &data.0, *offset))
            }
            FileCall::HandleWritev { handle, parts } => {
                let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(&part.0)).collect();
                written(self.handle(*handle)?, safe, |fd| writev(fd, &slices))
            }
            FileCall::HandleSeek { handle, offset, whence } => {
                let whence = match whence {
                    0 => Whence::SeekSet,
                    1 => Whence::SeekCur,
                    _ => Whence::SeekEnd,
                };
                let opened = self.handle(*handle)?;
                let offset = lseek(&opened.fd, *offset, whence)?.cast_unsigned();
                let root = opened.root;
                Ok(if opened.members {
                    OperationOutcome::MembersOffset { offset, root }
                } else {
                    OperationOutcome::Count(offset)
                })
            }
            FileCall::HandleStat { handle } => {
                let status = fstat(&self.handle(*handle)?.fd)?;
                Ok(OperationOutcome::Status(reading::status(&status)))
            }
            FileCall::HandleTruncate { handle, len } => {
                Ok(ftruncate(&self.handle(*handle)?.fd, *len)?.into())
            }
            FileCall::HandleChmod { handle, mode } => {
                Ok(fchmod(&self.handle(*handle)?.fd, Mode::from_bits_retain(*mode))?.into())
            }
            FileCall::HandleList { handle, buffer } => reading::list(&self.handle(*handle)?.fd, *buffer),
            FileCall::Close { handle } => Ok(self.open.remove(handle).map(drop).ok_or(Errno::EBADF)?.into()),
            FileCall::Send { handle } => Ok(relay.send(self.handle(*handle)?)?.into()),
            FileCall::Receive { handle } => {
                self.open.insert(*handle, relay.receive()?);
                Ok(OperationOutcome::Done)
            }
            _ => unreachable!("{call:?} is not an operation on a handle"),
        }
    }
}

/// Whether the working directory is removed. A control file there depends on which processes have it open (L52).
fn is_cwd_removed() -> bool {
    std::fs::read_link("/proc/self/cwd")
        .is_ok_and(|cwd| cwd.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

/// Writes, but never to a file that moves processes a number that another process of the machine might have.
fn written(
    opened: &OpenedFile,
    safe: bool,
    write: impl FnOnce(&OwnedFd) -> nix::Result<usize>,
) -> nix::Result<OperationOutcome> {
    if opened.members && !safe {
        return Ok(OperationOutcome::Skipped);
    }
    write(&opened.fd).map(|n| OperationOutcome::Count(n as u64))
}
