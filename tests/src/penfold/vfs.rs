//! The work of the kernel's VFS before that of a file system: paths, permissions, the order of errors.

use super::open_file::VfsOpenFile;
use crate::ops::{FsAnswer, FsOp};
use crate::target::Res;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use penfold_core::simulated::SimulatedHost;
use penfold_core::{Access, Caller, CgroupId, Engine, Owner, control_file::FileId};
use std::collections::{BTreeMap, HashMap};

const PATH_MAX: usize = 4096;
const NO_REPLACE: u32 = 1;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// The engine, its host, and the labels of its directories.
#[derive(Default)]
pub(super) struct Vfs {
    pub(super) engine: Engine,
    pub(super) host: SimulatedHost,
    /// Mounts and opened groups, by label.
    pub(super) places: BTreeMap<String, CgroupId>,
}

/// The state of one process.
pub(super) struct VfsProcess {
    pub(super) caller: Caller,
    /// The working directory, as label and cgroup; `None` outside of every mount.
    pub(super) cwd: Option<(String, CgroupId)>,
    pub(super) files: HashMap<String, VfsOpenFile>,
}

/// A directory and a name in it, which need not exist.
struct VfsEntry<'a> {
    label: String,
    directory: CgroupId,
    name: &'a str,
}

enum VfsNode {
    Directory(CgroupId),
    File(CgroupId, FileId),
}

pub(super) fn errno(error: &penfold_core::Error) -> Errno {
    Errno::from_raw(error.errno().number())
}

fn done<T>(result: penfold_core::Result<T>) -> Res<FsAnswer> {
    result.map(|_| FsAnswer::Done).map_err(|e| errno(&e))
}

impl VfsProcess {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller, cwd: None, files: HashMap::new() }
    }

    /// Whether the process has its working directory or an open file in the mount `label`.
    pub(super) fn uses(&self, label: &str) -> bool {
        self.cwd.as_ref().is_some_and(|(cwd, _)| cwd == label)
            || self.files.values().any(|f| f.label == label)
    }
}

impl Vfs {
    pub(super) fn must_live(&self, cgroup: CgroupId) -> Res<()> {
        self.engine.tree().get(cgroup).map(|_| ()).ok_or(Errno::ENODEV)
    }

    pub(super) fn read(&mut self, caller: &Caller, cgroup: CgroupId, file: FileId) -> Res<Vec<u8>> {
        let Self { engine, host, .. } = self;
        engine.session(host, caller).read(cgroup, file).map_err(|e| errno(&e))
    }

    /// One operation by a process.
    pub(super) fn perform(&mut self, process: &mut VfsProcess, op: &FsOp) -> Res<FsAnswer> {
        match op {
            FsOp::Chdir { path } => self.change_directory(process, path),
            FsOp::Umask { mask } => {
                process.caller.umask = *mask;
                Ok(FsAnswer::Done)
            }
            FsOp::Open { handle, path, flags } => {
                let file = self.open(process, path, OFlag::from_bits_retain(*flags))?;
                process.files.insert(handle.clone(), file);
                Ok(FsAnswer::Done)
            }
            FsOp::Close { handle } => {
                process.files.remove(handle).map(|_| FsAnswer::Done).ok_or(Errno::EBADF)
            }
            FsOp::HandleRead { handle, len } => file(process, handle)?.read(self, *len),
            FsOp::HandleSeek { handle, offset } => file(process, handle)?.seek(self, *offset),
            FsOp::HandleWrite { handle, data } => {
                let writer = process.caller.task;
                file(process, handle)?.write(self, writer, data)
            }
            FsOp::HandleWriteAt { handle, data, .. } => {
                let writer = process.caller.task;
                file(process, handle)?.write_at(self, writer, data)
            }
            FsOp::Read { path } => self.open(process, path, OFlag::O_RDONLY)?.read(self, usize::MAX),
            FsOp::Write { path, data } => {
                self.open(process, path, OFlag::O_WRONLY)?.write(self, process.caller.task, data)
            }
            _ => self.perform_by_path(process, op),
        }
    }

    fn perform_by_path(&mut self, process: &VfsProcess, op: &FsOp) -> Res<FsAnswer> {
        let caller = &process.caller;
        match op {
            FsOp::Mkdir { path, mode } => {
                let entry = self.entry(process, path)?;
                let Self { engine, host, .. } = self;
                done(engine.session(host, caller).mkdir(entry.directory, entry.name.as_bytes(), *mode))
            }
            FsOp::Rmdir { path } => self.remove_directory(process, path),
            FsOp::Rename { from, to } => self.rename(process, from, to),
            FsOp::Rename2 { from, to, flags } => {
                self.find(process, from)?;
                if flags & NO_REPLACE != 0 && self.find(process, to).is_ok() {
                    return Err(Errno::EEXIST);
                }
                if *flags == 0 { self.rename(process, from, to) } else { Err(Errno::EINVAL) }
            }
            FsOp::Unlink { path } => self.unlink(process, path),
            FsOp::Symlink { path } | FsOp::Fifo { path } => self.refuse_new(process, path),
            FsOp::Link { from, path } => {
                self.find(process, from)?;
                self.refuse_new(process, path)
            }
            FsOp::Chmod { path, mode } => {
                self.change_owner(process, path, |owner| Owner { mode: mode & 0o7777, ..owner })
            }
            FsOp::Chown { path, uid, gid } => {
                self.change_owner(process, path, |owner| Owner { uid: *uid, gid: *gid, ..owner })
            }
            FsOp::Truncate { path, .. } => match self.find(process, path)? {
                VfsNode::Directory(_) => Err(Errno::EISDIR),
                VfsNode::File(cgroup, file) => {
                    let owner = self.engine.file_owner(cgroup, file).map_err(|e| errno(&e))?;
                    must(caller, &owner, Access::WRITE).map(|()| FsAnswer::Done)
                }
            },
            FsOp::Stat { path } => self.stat(process, path),
            FsOp::List { path } => self.list(process, path, true),
            FsOp::ListFiles { path } => self.list(process, path, false),
            _ => unreachable!("{op:?} does not go by path"),
        }
    }

    // ---- paths

    /// Walks to the directory of a path's last component.
    fn entry<'a>(&self, process: &VfsProcess, path: &'a str) -> Res<VfsEntry<'a>> {
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let (label, mut directory) = match first {
            "." => process.cwd.clone().ok_or(Errno::ENOENT)?,
            label => (label.to_owned(), self.place(label)),
        };
        let mut components = rest.split('/').filter(|name| !name.is_empty()).peekable();
        let mut name = ".";
        while let Some(component) = components.next() {
            self.must_search(&process.caller, directory)?;
            name = component;
            if components.peek().is_some() {
                directory = match self.child(directory, component)? {
                    VfsNode::Directory(cgroup) => cgroup,
                    VfsNode::File(..) => return Err(Errno::ENOTDIR),
                };
            }
        }
        Ok(VfsEntry { label, directory, name })
    }

    pub(super) fn place(&self, label: &str) -> CgroupId {
        *self.places.get(label).unwrap_or_else(|| panic!("no place is called {label}"))
    }

    fn child(&self, directory: CgroupId, name: &str) -> Res<VfsNode> {
        let tree = self.engine.tree();
        if name == "." {
            return Ok(VfsNode::Directory(directory));
        }
        let cgroup = tree.get(directory).ok_or(Errno::ENOENT)?;
        if name == ".." {
            return Ok(VfsNode::Directory(cgroup.parent().unwrap_or(directory)));
        }
        let file = || self.engine.find_file(directory, name).map(|file| VfsNode::File(directory, file));
        let child = tree.child(directory, name.as_bytes()).map(VfsNode::Directory);
        child.or_else(file).ok_or(Errno::ENOENT)
    }

    fn find(&self, process: &VfsProcess, path: &str) -> Res<VfsNode> {
        let entry = self.entry(process, path)?;
        self.child(entry.directory, entry.name)
    }

    fn must_search(&self, caller: &Caller, directory: CgroupId) -> Res<()> {
        self.engine
            .tree()
            .get(directory)
            .map_or(Ok(()), |cgroup| must(caller, &cgroup.owner(), Access::SEARCH))
    }

    /// Whether the caller may add or remove an entry of this directory.
    fn must_change(&self, caller: &Caller, directory: CgroupId) -> Res<()> {
        let cgroup = self.engine.tree().get(directory).ok_or(Errno::ENOENT)?;
        must(caller, &cgroup.owner(), Access::WRITE | Access::SEARCH)
    }

    // ---- operations

    fn change_directory(&self, process: &mut VfsProcess, path: &str) -> Res<FsAnswer> {
        if path == "/" {
            process.cwd = None;
            return Ok(FsAnswer::Done);
        }
        let entry = self.entry(process, path)?;
        let VfsNode::Directory(cgroup) = self.child(entry.directory, entry.name)? else {
            return Err(Errno::ENOTDIR);
        };
        self.must_search(&process.caller, cgroup)?;
        process.cwd = Some((entry.label, cgroup));
        Ok(FsAnswer::Done)
    }

    fn open(&self, process: &VfsProcess, path: &str, flags: OFlag) -> Res<VfsOpenFile> {
        let caller = &process.caller;
        let mode = flags & OFlag::O_ACCMODE;
        let (readable, writable) = (mode != OFlag::O_WRONLY, mode != OFlag::O_RDONLY);
        let mut access = Access::empty();
        access.set(Access::READ, readable);
        access.set(Access::WRITE, writable || flags.contains(OFlag::O_TRUNC));
        let entry = self.entry(process, path)?;
        let found = match self.child(entry.directory, entry.name) {
            // no new file can be made here, even by a user who may write the directory
            Err(Errno::ENOENT) if flags.contains(OFlag::O_CREAT) => {
                self.must_change(caller, entry.directory)?;
                return Err(Errno::EACCES);
            }
            found => found?,
        };
        if flags.contains(OFlag::O_CREAT | OFlag::O_EXCL) {
            return Err(Errno::EEXIST);
        }
        let (cgroup, file) = match found {
            VfsNode::Directory(_) if writable || flags.contains(OFlag::O_CREAT) => return Err(Errno::EISDIR),
            VfsNode::Directory(cgroup) => {
                let directory = self.engine.tree().get(cgroup).ok_or(Errno::ENOENT)?;
                must(caller, &directory.owner(), access)?;
                (cgroup, None)
            }
            VfsNode::File(..) if flags.contains(OFlag::O_DIRECTORY) => return Err(Errno::ENOTDIR),
            VfsNode::File(cgroup, _) => {
                let file = self.engine.open(caller, cgroup, entry.name, access).map_err(|e| errno(&e))?;
                (cgroup, Some(file))
            }
        };
        if flags.contains(OFlag::O_DIRECT) {
            return Err(Errno::EINVAL);
        }
        Ok(VfsOpenFile {
            label: entry.label,
            cgroup,
            file,
            opener: caller.clone(),
            readable,
            writable,
            offset: 0,
            content: Vec::new(),
            read_to: 0,
        })
    }

    fn remove_directory(&mut self, process: &VfsProcess, path: &str) -> Res<FsAnswer> {
        let entry = self.entry(process, path)?;
        match self.child(entry.directory, entry.name)? {
            // the entry of a mount is in another file system, in a directory of root
            VfsNode::Directory(_) if is_place(path) && !process.caller.privileged => Err(Errno::EACCES),
            VfsNode::Directory(cgroup) => {
                let Self { engine, host, .. } = self;
                done(engine.session(host, &process.caller).rmdir(cgroup))
            }
            VfsNode::File(_, file) => {
                self.must_change(&process.caller, entry.directory)?;
                let owner = self.engine.file_owner(entry.directory, file).map_err(|e| errno(&e))?;
                let directory = self.engine.tree()[entry.directory].owner();
                let owned = [owner.uid, directory.uid].contains(&process.caller.uid);
                let sticky = directory.mode & 0o1000 != 0 && !process.caller.privileged && !owned;
                Err(if sticky { Errno::EPERM } else { Errno::ENOTDIR })
            }
        }
    }

    fn rename(&mut self, process: &VfsProcess, from: &str, to: &str) -> Res<FsAnswer> {
        let (old, new) = (self.entry(process, from)?, self.entry(process, to)?);
        if is_place(from) != is_place(to) || self.place_of(&old) != self.place_of(&new) {
            return Err(Errno::EXDEV);
        }
        if is_place(from) {
            return if from == to { Ok(FsAnswer::Done) } else { Err(Errno::EBUSY) };
        }
        if [old.name, new.name].iter().any(|name| matches!(*name, "." | "..")) {
            return Err(Errno::EBUSY);
        }
        let (old_name, new_name) = (old.name.as_bytes(), new.name.as_bytes());
        done(self.engine.rename(&process.caller, old.directory, old_name, new.directory, new_name))
    }

    fn place_of(&self, entry: &VfsEntry<'_>) -> Option<CgroupId> {
        self.places.get(&entry.label).copied()
    }

    /// Refuses every unlink: control files can't be unlinked.
    fn unlink(&self, process: &VfsProcess, path: &str) -> Res<FsAnswer> {
        let entry = self.entry(process, path)?;
        let node = self.child(entry.directory, entry.name)?;
        self.must_change(&process.caller, entry.directory)?;
        Err(if matches!(node, VfsNode::Directory(_)) { Errno::EISDIR } else { Errno::EPERM })
    }

    /// Refuses every new entry that is no directory.
    fn refuse_new(&self, process: &VfsProcess, path: &str) -> Res<FsAnswer> {
        let entry = self.entry(process, path)?;
        if self.child(entry.directory, entry.name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.must_change(&process.caller, entry.directory)?;
        Err(Errno::EPERM)
    }

    fn change_owner(
        &mut self,
        process: &VfsProcess,
        path: &str,
        change: impl FnOnce(Owner) -> Owner,
    ) -> Res<FsAnswer> {
        let caller = &process.caller;
        match self.find(process, path)? {
            VfsNode::Directory(cgroup) => {
                let old = self.engine.tree().get(cgroup).ok_or(Errno::ENODEV)?.owner();
                done(self.engine.set_owner(caller, cgroup, change(old)))
            }
            VfsNode::File(cgroup, file) => {
                let old = self.engine.file_owner(cgroup, file).map_err(|e| errno(&e))?;
                done(self.engine.set_file_owner(caller, cgroup, file, change(old)))
            }
        }
    }

    fn stat(&self, process: &VfsProcess, path: &str) -> Res<FsAnswer> {
        let (kind, nlink, owner) = match self.find(process, path)? {
            VfsNode::Directory(cgroup) => {
                let directory = self.engine.tree().get(cgroup).ok_or(Errno::ENOENT)?;
                (DIRECTORY, 2 + directory.child_count() as u64, directory.owner())
            }
            VfsNode::File(cgroup, file) => {
                (REGULAR, 1, self.engine.file_owner(cgroup, file).map_err(|e| errno(&e))?)
            }
        };
        Ok(FsAnswer::Stat { mode: kind | owner.mode, nlink, size: 0, uid: owner.uid, gid: owner.gid })
    }

    fn list(&self, process: &VfsProcess, path: &str, with_directories: bool) -> Res<FsAnswer> {
        let VfsNode::Directory(cgroup) = self.find(process, path)? else { return Err(Errno::ENOTDIR) };
        let tree = self.engine.tree();
        // a removed working directory is empty
        let Some(directory) = tree.get(cgroup) else { return Ok(FsAnswer::Names(Vec::new())) };
        must(&process.caller, &directory.owner(), Access::READ)?;
        let files = self.engine.files(cgroup).map_err(|e| errno(&e))?;
        let mut names: Vec<String> = files.into_iter().map(|file| file.name).collect();
        if with_directories {
            let name = |child: CgroupId| String::from_utf8_lossy(tree[child].name()).into_owned();
            names.extend(tree.children(cgroup).map(name));
        }
        names.sort();
        Ok(FsAnswer::Names(names))
    }
}

/// Whether a path is a label alone. The entry of a mount is in the file system around it.
fn is_place(path: &str) -> bool {
    path != "." && !path.trim_end_matches('/').contains('/')
}

fn must(caller: &Caller, owner: &Owner, access: Access) -> Res<()> {
    if caller.may(owner, access) { Ok(()) } else { Err(Errno::EACCES) }
}

fn file<'a>(process: &'a mut VfsProcess, handle: &str) -> Res<&'a mut VfsOpenFile> {
    process.files.get_mut(handle).ok_or(Errno::EBADF)
}
