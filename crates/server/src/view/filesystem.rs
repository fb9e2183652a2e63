//! The kernel's requests to the view of a hierarchy.
//!
//! The kernel checks owner and mode (`default_permissions`) with the full credentials of the process. This file checks
//! them once more, because another view or the socket may have changed them a moment ago.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig, LockOwner,
    OpenAccMode, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use penfold_core::{Access, CgroupId, Error, ErrorKind, Owner, control_file::FileId};

use super::attributes::{FileTimes, LIFETIME, NodeFacts, attr};
use super::directories::{self, OpenDirectory};
use super::files::{HandleTable, OpenControlFile};
use super::identity::RequestIdentity;
use super::nodes::{Nodes, ViewNode};
use crate::change::ViewId;
use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;

/// The file system of one mount of one hierarchy.
pub(super) struct HierarchyView {
    service: Service,
    id: ViewId,
    identity: RequestIdentity,
    nodes: Nodes,
    files: HandleTable<OpenControlFile>,
    directories: HandleTable<OpenDirectory>,
}

/// The errno of a failure, for a reply.
pub(super) fn number(failure: &Failure) -> fuser::Errno {
    code(failure.errno)
}

/// An errno, for a reply.
pub(super) fn code(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno as i32)
}

/// A failure with an errno. The kernel passes no words on, so the rest does not matter.
fn refuse(errno: Errno, what: &'static str) -> Failure {
    Failure::new(ErrorKind::of_system_call(errno as i32), errno, "", what)
}

fn removed(operation: &'static str) -> Failure {
    Error::Removed { operation }.into()
}

impl HierarchyView {
    pub(super) fn new(
        service: Service,
        id: ViewId,
        root: CgroupId,
        identity: RequestIdentity,
    ) -> HierarchyView {
        let nodes = Nodes::new(root);
        HierarchyView {
            service,
            id,
            identity,
            nodes,
            files: HandleTable::new(),
            directories: HandleTable::new(),
        }
    }

    pub(super) fn nodes(&self) -> Nodes {
        self.nodes.clone()
    }

    /// The cgroup of a directory in a request.
    ///
    /// # Errors
    /// `ENOENT` for a number that is not known, and for a file.
    fn directory(&self, ino: INodeNo) -> Result<CgroupId, Failure> {
        self.nodes.directory(ino.0).ok_or_else(|| refuse(Errno::ENOENT, "no such directory"))
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Result<NodeFacts, Failure> {
        let parent = self.directory(parent)?;
        let facts = self
            .service
            .with_snapshot(|engine, host| NodeFacts::find(engine, host, parent, name.as_bytes()))?;
        facts.ok_or_else(|| refuse(Errno::ENOENT, "no such file or directory"))
    }

    fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Failure> {
        let _answer = self.nodes.begin_answer();
        Ok(self.entry(&self.find(parent, name)?, name))
    }

    /// The attributes of an entry that the kernel will cache.
    fn entry(&self, facts: &NodeFacts, name: &OsStr) -> FileAttr {
        let size = facts.size();
        let times = self.nodes.note_entry(facts, name.as_bytes(), size);
        self.shown(facts, size, times)
    }

    fn shown(&self, facts: &NodeFacts, size: u64, times: FileTimes) -> FileAttr {
        let owner = self.identity.shown(facts.owner);
        attr(facts.ino, owner, facts.links, facts.file.map(|_| size), times)
    }

    fn facts(&self, cgroup: CgroupId, file: Option<FileId>) -> Result<Option<NodeFacts>, Failure> {
        self.service.with_snapshot(|engine, host| match file {
            None => NodeFacts::directory(engine, cgroup),
            Some(file) => NodeFacts::file(engine, host, cgroup, file),
        })
    }

    /// The attributes of a node that the kernel knows; the last known ones of a removed node.
    ///
    /// # Errors
    /// `ENODEV` for a number that is not known.
    fn attributes(&self, ino: INodeNo) -> Result<FileAttr, Failure> {
        let _answer = self.nodes.begin_answer();
        let node = self.nodes.get(ino.0).ok_or_else(|| removed("stat"))?;
        let file = node.file.as_ref().map(|file| file.id);
        match self.facts(node.cgroup, file)? {
            Some(facts) => {
                let size = facts.size();
                let times = self.nodes.note_attributes(&facts, size).unwrap_or(node.times);
                Ok(self.shown(&facts, size, times))
            }
            None => Ok(self.last_known(ino, &node)),
        }
    }

    fn last_known(&self, ino: INodeNo, node: &ViewNode) -> FileAttr {
        let (links, size) = if node.file.is_some() { (1, Some(0)) } else { (2, None) };
        attr(ino.0, self.identity.shown(node.owner), links, size, node.times)
    }

    fn make_directory(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
    ) -> Result<FileAttr, Failure> {
        let directory = self.directory(parent)?;
        let made = self.identity.as_client(request, |client| {
            self.service.mkdir(client, Some(self.id), directory, name.as_bytes(), mode)
        })?;
        let _answer = self.nodes.begin_answer();
        // another client may have removed it already
        let facts = self.facts(made, None)?.ok_or_else(|| refuse(Errno::ENOENT, "removed at once"))?;
        Ok(self.entry(&facts, name))
    }

    fn remove_directory(&self, request: &Request, parent: INodeNo, name: &OsStr) -> Result<(), Failure> {
        let facts = self.find(parent, name)?;
        if facts.file.is_some() {
            return Err(refuse(Errno::ENOTDIR, "a control file"));
        }
        self.identity.as_client(request, |client| self.service.rmdir(client, Some(self.id), facts.cgroup))
    }

    fn open_file(
        &self,
        request: &Request,
        ino: INodeNo,
        flags: OpenFlags,
    ) -> Result<OpenControlFile, Failure> {
        // ENOENT, as of a lookup below a removed directory: the kernel had found the name before the removal
        let gone = || refuse(Errno::ENOENT, "the cgroup has been removed");
        let node = self.nodes.get(ino.0).ok_or_else(gone)?;
        let file = node.file.ok_or_else(|| refuse(Errno::EISDIR, "a directory"))?.id;
        if flags.0 & nix::libc::O_DIRECT != 0 {
            return Err(refuse(Errno::EINVAL, "control files have no direct I/O"));
        }
        let Some(facts) = self.facts(node.cgroup, Some(file))? else {
            // the report of the removal may still be on its way to the kernel
            let again = self.nodes.must_look_up_again(ino.0);
            return Err(if again { refuse(Errno::ESTALE, "the name is looked up again") } else { gone() });
        };
        let access = match flags.acc_mode() {
            OpenAccMode::O_RDONLY => Access::READ,
            OpenAccMode::O_WRONLY => Access::WRITE,
            OpenAccMode::O_RDWR => Access::READ | Access::WRITE,
        };
        let opener = self.identity.as_client(request, |client| {
            let allowed = client.caller.may(&facts.owner, access);
            allowed.then(|| client.clone()).ok_or_else(|| refuse(Errno::EACCES, "owner and mode forbid it"))
        })?;
        if access.contains(Access::READ) && self.nodes.must_ask_again(ino.0, facts.size()) {
            // the kernel looks the name up once more, gets the size, and opens again
            return Err(refuse(Errno::ESTALE, "the size has changed"));
        }
        Ok(OpenControlFile::new(node.cgroup, file, opener))
    }

    fn change_owner(
        &self,
        request: &Request,
        ino: INodeNo,
        (mode, uid, gid): (Option<u32>, Option<u32>, Option<u32>),
        truncated: bool,
    ) -> Result<(), Failure> {
        let node = self.nodes.get(ino.0).ok_or_else(|| removed("chmod or chown"))?;
        let file = node.file.map(|file| file.id);
        let uid = uid.map(|id| self.identity.user(id)).transpose()?;
        let gid = gid.map(|id| self.identity.group(id)).transpose()?;
        let change =
            move |old: Owner| Owner {
                uid: uid.unwrap_or(old.uid),
                gid: gid.unwrap_or(old.gid),
                // a truncation clears the set-ID bits and changes nothing else
                mode: mode.map_or(old.mode, |mode| {
                    if truncated { old.mode & (mode | !SET_ID) } else { mode & 0o7777 }
                }),
            };
        let set = |client: &Client| self.service.set_owner(client, Some(self.id), node.cgroup, file, change);
        // a truncation needs the file open for writing, not its owner
        let changed = if truncated { set(&Client::own()) } else { self.identity.as_client(request, set) };
        match changed {
            // a process that has a removed file open may still change it; no other process sees the change
            Err(failure) if failure.kind == ErrorKind::Removed => {
                self.nodes.set_owner(ino.0, change(node.owner));
                Ok(())
            }
            changed => changed.map(drop),
        }
    }
}

/// The mode bits set-user-ID and set-group-ID.
const SET_ID: u32 = 0o6000;

fn moment(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

impl Filesystem for HierarchyView {
    fn init(&mut self, _: &Request, _: &mut KernelConfig) -> io::Result<()> {
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.look_up(parent, name) {
            Ok(attributes) => reply.entry(&LIFETIME, &attributes, Generation(0)),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.nodes.forget(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Ok(attributes) => reply.attr(&LIFETIME, &attributes),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        // any length is accepted, and changes no content
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if mode.or(uid).or(gid).is_some()
            && let Err(failure) = self.change_owner(request, ino, (mode, uid, gid), size.is_some())
        {
            return reply.error(number(&failure));
        }
        self.nodes.set_times(ino.0, |times| {
            times.accessed = accessed.map_or(times.accessed, moment);
            times.modified = modified.map_or(times.modified, moment);
        });
        match self.attributes(ino) {
            Ok(attributes) => reply.attr(&LIFETIME, &attributes),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        match self.make_directory(request, parent, name, mode) {
            Ok(attributes) => reply.entry(&LIFETIME, &attributes, Generation(0)),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.remove_directory(request, parent, name) {
            Ok(()) => reply.ok(),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(code(Errno::EINVAL));
        }
        let renamed = self.directory(parent).and_then(|from| {
            let to = self.directory(new_parent)?;
            self.identity.as_client(request, |client| {
                let (from, to) = ((from, name.as_bytes()), (to, new_name.as_bytes()));
                self.service.rename(client, Some(self.id), from, to)
            })
        });
        match renamed {
            Ok(()) => reply.ok(),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    // The following make entries that a directory of cgroups can't have. The kernel has looked the name up and found
    // none.

    fn create(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        reply.error(code(Errno::EACCES));
    }

    fn mknod(&self, _: &Request, _: INodeNo, _: &OsStr, mode: u32, _: u32, _: u32, reply: ReplyEntry) {
        let regular = mode & nix::libc::S_IFMT == nix::libc::S_IFREG;
        reply.error(code(if regular { Errno::EACCES } else { Errno::EPERM }));
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(code(Errno::EPERM));
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(code(Errno::EPERM));
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(code(Errno::EPERM));
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(request, ino, flags) {
            Ok(file) => reply.opened(self.files.insert(file), FopenFlags::FOPEN_DIRECT_IO),
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(file) = self.files.get(handle) else { return reply.error(code(Errno::EBADF)) };
        // a read without lock owner fills the page cache
        if lock_owner.is_none() {
            self.nodes.shrunk(ino.0);
        }
        let mut reply = Some(reply);
        let read = file.read(&self.service, offset, size, |content| {
            if let Some(reply) = reply.take() {
                reply.data(content);
            }
        });
        if let (Err(failure), Some(reply)) = (read, reply) {
            reply.error(number(&failure));
        }
    }

    fn write(
        &self,
        request: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: u64,
        content: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let Some(file) = self.files.get(handle) else { return reply.error(code(Errno::EBADF)) };
        match file.write(&self.service, self.id, self.identity.task(request), content) {
            Ok(()) => reply.written(content.len() as u32),
            Err(failure) => reply.error(number(&failure)),
        }
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

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.directory(ino) {
            Ok(cgroup) => {
                let handle = self.directories.insert(OpenDirectory::new(cgroup));
                reply.opened(handle, FopenFlags::empty());
            }
            Err(failure) => reply.error(number(&failure)),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, from: u64, mut reply: ReplyDirectory) {
        let Some(directory) = self.directories.get(handle) else { return reply.error(code(Errno::EBADF)) };
        let cgroup = directory.cgroup;
        let picture = || directories::picture(&self.service, cgroup);
        directory.entries(from, picture, |next, entry| {
            !reply.add(INodeNo(entry.ino), next, entry.kind, OsStr::from_bytes(&entry.name))
        });
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.directories.remove(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn poll(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        let Some(file) = self.files.get(handle) else { return reply.error(code(Errno::EBADF)) };
        let ready =
            PollEvents::POLLIN | PollEvents::POLLOUT | PollEvents::POLLRDNORM | PollEvents::POLLWRNORM;
        let changed = PollEvents::POLLERR | PollEvents::POLLPRI;
        reply.poll(if file.has_read() { ready } else { ready | changed });
    }
}
