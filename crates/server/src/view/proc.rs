//! `cgroups`, `PID/cgroup` and `PID/cpuset`, as `/proc` would show them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use fuser::{
    FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, Request,
};
use nix::errno::Errno;
use penfold_core::{ErrorKind, Owner, Tid};
use penfold_linux::proc::{TaskStatus, owner_of, processes};

use super::attributes::{FILE_SIZE, FileTimes, ROOT_INO, attr};
use super::files::HandleTable;
use super::filesystem::{code, number};
use super::identity::RequestIdentity;
use crate::failure::Failure;
use crate::proc_texts;
use crate::service::Service;

/// How long the kernel may cache entries and attributes: not at all, because processes come and go unreported.
const LIFETIME: Duration = Duration::ZERO;
const CGROUPS_INO: u64 = 2;
const SELF_INO: u64 = 3;

/// The file system of one mount.
pub(super) struct ProcView {
    service: Service,
    identity: RequestIdentity,
    times: FileTimes,
    files: HandleTable<Mutex<OpenText>>,
    listings: HandleTable<Mutex<Vec<i32>>>,
}

/// An open text, made anew by each read of its beginning.
struct OpenText {
    entry: ProcEntry,
    text: Vec<u8>,
}

/// The directories, files and links of this file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcEntry {
    Root,
    Cgroups,
    Own,
    Directory(i32),
    Cgroup(i32),
    Cpuset(i32),
}

impl ProcEntry {
    fn of(ino: u64) -> Option<ProcEntry> {
        let pid = i32::try_from(ino >> 8).ok()?;
        match (pid, ino & 0xff) {
            (0, ROOT_INO) => Some(ProcEntry::Root),
            (0, CGROUPS_INO) => Some(ProcEntry::Cgroups),
            (0, SELF_INO) => Some(ProcEntry::Own),
            (1.., 0) => Some(ProcEntry::Directory(pid)),
            (1.., 1) => Some(ProcEntry::Cgroup(pid)),
            (1.., 2) => Some(ProcEntry::Cpuset(pid)),
            _ => None,
        }
    }

    fn ino(self) -> u64 {
        let of = |pid: i32, which: u64| (u64::from(pid.cast_unsigned()) << 8) + which;
        match self {
            ProcEntry::Root => ROOT_INO,
            ProcEntry::Cgroups => CGROUPS_INO,
            ProcEntry::Own => SELF_INO,
            ProcEntry::Directory(pid) => of(pid, 0),
            ProcEntry::Cgroup(pid) => of(pid, 1),
            ProcEntry::Cpuset(pid) => of(pid, 2),
        }
    }

    fn below(self, name: &[u8]) -> Option<ProcEntry> {
        match (self, name) {
            (ProcEntry::Root, b"cgroups") => Some(ProcEntry::Cgroups),
            (ProcEntry::Root, b"self") => Some(ProcEntry::Own),
            (ProcEntry::Root, [b'1'..=b'9', ..]) => {
                std::str::from_utf8(name).ok()?.parse().ok().map(ProcEntry::Directory)
            }
            (ProcEntry::Directory(pid), b"cgroup") => Some(ProcEntry::Cgroup(pid)),
            (ProcEntry::Directory(pid), b"cpuset") => Some(ProcEntry::Cpuset(pid)),
            _ => None,
        }
    }

    fn pid(self) -> Option<i32> {
        match self {
            ProcEntry::Root | ProcEntry::Cgroups | ProcEntry::Own => None,
            ProcEntry::Directory(pid) | ProcEntry::Cgroup(pid) | ProcEntry::Cpuset(pid) => Some(pid),
        }
    }
}

impl ProcView {
    pub(super) fn new(service: Service, identity: RequestIdentity) -> ProcView {
        let (files, listings) = (HandleTable::new(), HandleTable::new());
        ProcView { service, identity, times: FileTimes::now(), files, listings }
    }

    fn attributes(&self, entry: ProcEntry) -> Option<FileAttr> {
        let (uid, gid) = match entry.pid() {
            None => (0, 0),
            Some(pid) => owner_of(Tid(pid))?,
        };
        let (mode, links, size) = match entry {
            ProcEntry::Root | ProcEntry::Directory(_) => (0o555, 2, None),
            ProcEntry::Own => (0o777, 1, Some(0)),
            ProcEntry::Cgroups | ProcEntry::Cgroup(_) | ProcEntry::Cpuset(_) => (0o444, 1, Some(FILE_SIZE)),
        };
        let owner = self.identity.shown(Owner { uid, gid, mode });
        let mut attributes = attr(entry.ino(), owner, links, size, self.times);
        if entry == ProcEntry::Own {
            attributes.kind = FileType::Symlink;
        }
        Some(attributes)
    }

    fn text(&self, entry: ProcEntry) -> Result<Vec<u8>, Failure> {
        match entry {
            ProcEntry::Cgroups => proc_texts::cgroups(&self.service),
            ProcEntry::Cgroup(pid) => proc_texts::pid_cgroup(&self.service, Tid(pid)),
            ProcEntry::Cpuset(pid) => proc_texts::pid_cpuset(&self.service, Tid(pid)),
            ProcEntry::Root | ProcEntry::Own | ProcEntry::Directory(_) => {
                Err(Failure::new(ErrorKind::WrongType, Errno::EISDIR, "", "a directory"))
            }
        }
    }
}

impl Filesystem for ProcView {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let entry = ProcEntry::of(parent.0).and_then(|parent| parent.below(name.as_bytes()));
        match entry.and_then(|entry| self.attributes(entry)) {
            Some(attributes) => reply.entry(&LIFETIME, &attributes, Generation(0)),
            None => reply.error(code(Errno::ENOENT)),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match ProcEntry::of(ino.0).and_then(|entry| self.attributes(entry)) {
            Some(attributes) => reply.attr(&LIFETIME, &attributes),
            None => reply.error(code(Errno::ENOENT)),
        }
    }

    fn readlink(&self, request: &Request, _: INodeNo, reply: ReplyData) {
        match TaskStatus::read(Tid(self.identity.task(request))) {
            Some(process) => reply.data(process.group.to_string().as_bytes()),
            None => reply.error(code(Errno::ENOENT)),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let Some(entry) = ProcEntry::of(ino.0) else { return reply.error(code(Errno::ENOENT)) };
        if flags.0 & nix::libc::O_ACCMODE != nix::libc::O_RDONLY {
            return reply.error(code(Errno::EACCES));
        }
        let handle = self.files.insert(Mutex::new(OpenText { entry, text: Vec::new() }));
        reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(open) = self.files.get(handle) else { return reply.error(code(Errno::EBADF)) };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if offset == 0 || open.text.is_empty() {
            match self.text(open.entry) {
                Ok(text) => open.text = text,
                Err(failure) => return reply.error(number(&failure)),
            }
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(open.text.len());
        let end = start.saturating_add(size as usize).min(open.text.len());
        reply.data(&open.text[start..end]);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.remove(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(self.listings.insert(Mutex::default()), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, from: u64, mut reply: ReplyDirectory) {
        let Some(listing) = self.listings.get(handle) else { return reply.error(code(Errno::EBADF)) };
        let mut pids = listing.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = ProcEntry::of(ino.0);
        if from == 0 && entry == Some(ProcEntry::Root) {
            *pids = processes().into_iter().map(|Tid(pid)| pid).collect();
        }
        let fixed: &[(ProcEntry, FileType, &str)] = match entry {
            Some(ProcEntry::Root) => &[
                (ProcEntry::Root, FileType::Directory, "."),
                (ProcEntry::Root, FileType::Directory, ".."),
                (ProcEntry::Cgroups, FileType::RegularFile, "cgroups"),
                (ProcEntry::Own, FileType::Symlink, "self"),
            ],
            Some(ProcEntry::Directory(pid)) => &[
                (ProcEntry::Directory(pid), FileType::Directory, "."),
                (ProcEntry::Root, FileType::Directory, ".."),
                (ProcEntry::Cgroup(pid), FileType::RegularFile, "cgroup"),
                (ProcEntry::Cpuset(pid), FileType::RegularFile, "cpuset"),
            ],
            _ => &[],
        };
        let fixed = fixed.iter().map(|(entry, kind, name)| (*entry, *kind, (*name).to_owned()));
        let living =
            pids.iter().map(|pid| (ProcEntry::Directory(*pid), FileType::Directory, pid.to_string()));
        let entries = (1..).zip(fixed.chain(living)).skip(usize::try_from(from).unwrap_or(usize::MAX));
        for (next, (entry, kind, name)) in entries {
            if reply.add(INodeNo(entry.ino()), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listings.remove(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }
}
