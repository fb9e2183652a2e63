//! What the kernel's VFS does before a file system is asked: paths, permissions, the order of errors.

use super::open_file::OpenFile;
use crate::ops::{Answer, FsOp};
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

/// The engine, its host, and where its directories are found.
#[derive(Default)]
pub(super) struct Vfs {
    pub(super) engine: Engine,
    pub(super) host: SimulatedHost,
    /// Mounts and opened groups, by label.
    pub(super) places: BTreeMap<String, CgroupId>,
}

/// What one process has of its own.
pub(super) struct Process {
    pub(super) caller: Caller,
    /// Label and directory; `None` outside of every mount.
    pub(super) cwd: Option<(String, CgroupId)>,
    pub(super) files: HashMap<String, OpenFile>,
}

/// A directory and a name in it, which may be there or not.
struct Entry<'a> {
    label: String,
    directory: CgroupId,
    name: &'a str,
}

enum Node {
    Directory(CgroupId),
    File(CgroupId, FileId),
}

pub(super) fn errno(error: &penfold_core::Error) -> Errno {
    Errno::from_raw(error.errno().number())
}

fn done<T>(result: penfold_core::Result<T>) -> Res<Answer> {
    result.map(|_| Answer::Done).map_err(|e| errno(&e))
}

impl Process {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller, cwd: None, files: HashMap::new() }
    }

    /// Does it stand in, or hold a file of, what is mounted as `label`?
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
    pub(super) fn perform(&mut self, process: &mut Process, op: &FsOp) -> Res<Answer> {
        match op {
            FsOp::Chdir { path } => self.change_directory(process, path),
            FsOp::Umask { mask } => {
                process.caller.umask = *mask;
                Ok(Answer::Done)
            }
            FsOp::Open { handle, path, flags } => {
                let file = self.open(process, path, OFlag::from_bits_retain(*flags))?;
                process.files.insert(handle.clone(), file);
                Ok(Answer::Done)
            }
            FsOp::Close { handle } => process.files.remove(handle).map(|_| Answer::Done).ok_or(Errno::EBADF),
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

    fn perform_by_path(&mut self, process: &Process, op: &FsOp) -> Res<Answer> {
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
                Node::Directory(_) => Err(Errno::EISDIR),
                Node::File(cgroup, file) => {
                    let owner = self.engine.file_owner(cgroup, file).map_err(|e| errno(&e))?;
                    must(caller, &owner, Access::WRITE).map(|()| Answer::Done)
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
    fn entry<'a>(&self, process: &Process, path: &'a str) -> Res<Entry<'a>> {
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
                    Node::Directory(cgroup) => cgroup,
                    Node::File(..) => return Err(Errno::ENOTDIR),
                };
            }
        }
        Ok(Entry { label, directory, name })
    }

    pub(super) fn place(&self, label: &str) -> CgroupId {
        *self.places.get(label).unwrap_or_else(|| panic!("no place is called {label}"))
    }

    fn child(&self, directory: CgroupId, name: &str) -> Res<Node> {
        let tree = self.engine.tree();
        if name == "." {
            return Ok(Node::Directory(directory));
        }
        let cgroup = tree.get(directory).ok_or(Errno::ENOENT)?;
        if name == ".." {
            return Ok(Node::Directory(cgroup.parent().unwrap_or(directory)));
        }
        let file = || self.engine.find_file(directory, name).map(|file| Node::File(directory, file));
        let child = tree.child(directory, name.as_bytes()).map(Node::Directory);
        child.or_else(file).ok_or(Errno::ENOENT)
    }

    fn find(&self, process: &Process, path: &str) -> Res<Node> {
        let entry = self.entry(process, path)?;
        self.child(entry.directory, entry.name)
    }

    fn must_search(&self, caller: &Caller, directory: CgroupId) -> Res<()> {
        self.engine
            .tree()
            .get(directory)
            .map_or(Ok(()), |cgroup| must(caller, &cgroup.owner(), Access::SEARCH))
    }

    /// May the caller add an entry to or take one from this directory?
    fn must_change(&self, caller: &Caller, directory: CgroupId) -> Res<()> {
        let cgroup = self.engine.tree().get(directory).ok_or(Errno::ENOENT)?;
        must(caller, &cgroup.owner(), Access::WRITE | Access::SEARCH)
    }

    // ---- operations

    fn change_directory(&self, process: &mut Process, path: &str) -> Res<Answer> {
        if path == "/" {
            process.cwd = None;
            return Ok(Answer::Done);
        }
        let entry = self.entry(process, path)?;
        let Node::Directory(cgroup) = self.child(entry.directory, entry.name)? else {
            return Err(Errno::ENOTDIR);
        };
        self.must_search(&process.caller, cgroup)?;
        process.cwd = Some((entry.label, cgroup));
        Ok(Answer::Done)
    }

    fn open(&self, process: &Process, path: &str, flags: OFlag) -> Res<OpenFile> {
        let caller = &process.caller;
        let mode = flags & OFlag::O_ACCMODE;
        let (readable, writable) = (mode != OFlag::O_WRONLY, mode != OFlag::O_RDONLY);
        let mut access = Access::empty();
        access.set(Access::READ, readable);
        access.set(Access::WRITE, writable || flags.contains(OFlag::O_TRUNC));
        let entry = self.entry(process, path)?;
        let found = match self.child(entry.directory, entry.name) {
            // there is no such thing as a new file here, even for who may write the directory
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
            Node::Directory(_) if writable || flags.contains(OFlag::O_CREAT) => return Err(Errno::EISDIR),
            Node::Directory(cgroup) => {
                let directory = self.engine.tree().get(cgroup).ok_or(Errno::ENOENT)?;
                must(caller, &directory.owner(), access)?;
                (cgroup, None)
            }
            Node::File(..) if flags.contains(OFlag::O_DIRECTORY) => return Err(Errno::ENOTDIR),
            Node::File(cgroup, _) => {
                let file = self.engine.open(caller, cgroup, entry.name, access).map_err(|e| errno(&e))?;
                (cgroup, Some(file))
            }
        };
        if flags.contains(OFlag::O_DIRECT) {
            return Err(Errno::EINVAL);
        }
        Ok(OpenFile {
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

    fn remove_directory(&mut self, process: &Process, path: &str) -> Res<Answer> {
        let entry = self.entry(process, path)?;
        match self.child(entry.directory, entry.name)? {
            // its entry is in another file system, in a directory of root's
            Node::Directory(_) if is_place(path) && !process.caller.privileged => Err(Errno::EACCES),
            Node::Directory(cgroup) => {
                let Self { engine, host, .. } = self;
                done(engine.session(host, &process.caller).rmdir(cgroup))
            }
            Node::File(_, file) => {
                self.must_change(&process.caller, entry.directory)?;
                let owner = self.engine.file_owner(entry.directory, file).map_err(|e| errno(&e))?;
                let directory = self.engine.tree()[entry.directory].owner();
                let owned = [owner.uid, directory.uid].contains(&process.caller.uid);
                let sticky = directory.mode & 0o1000 != 0 && !process.caller.privileged && !owned;
                Err(if sticky { Errno::EPERM } else { Errno::ENOTDIR })
            }
        }
    }

    fn rename(&mut self, process: &Process, from: &str, to: &str) -> Res<Answer> {
        let (old, new) = (self.entry(process, from)?, self.entry(process, to)?);
        if is_place(from) != is_place(to) || self.place_of(&old) != self.place_of(&new) {
            return Err(Errno::EXDEV);
        }
        if is_place(from) {
            return if from == to { Ok(Answer::Done) } else { Err(Errno::EBUSY) };
        }
        if [old.name, new.name].iter().any(|name| matches!(*name, "." | "..")) {
            return Err(Errno::EBUSY);
        }
        let (old_name, new_name) = (old.name.as_bytes(), new.name.as_bytes());
        done(self.engine.rename(&process.caller, old.directory, old_name, new.directory, new_name))
    }

    fn place_of(&self, entry: &Entry<'_>) -> Option<CgroupId> {
        self.places.get(&entry.label).copied()
    }

    /// Control files are never unlinked.
    fn unlink(&self, process: &Process, path: &str) -> Res<Answer> {
        let entry = self.entry(process, path)?;
        let node = self.child(entry.directory, entry.name)?;
        self.must_change(&process.caller, entry.directory)?;
        Err(if matches!(node, Node::Directory(_)) { Errno::EISDIR } else { Errno::EPERM })
    }

    /// Nothing but directories can be made.
    fn refuse_new(&self, process: &Process, path: &str) -> Res<Answer> {
        let entry = self.entry(process, path)?;
        if self.child(entry.directory, entry.name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.must_change(&process.caller, entry.directory)?;
        Err(Errno::EPERM)
    }

    fn change_owner(
        &mut self,
        process: &Process,
        path: &str,
        change: impl FnOnce(Owner) -> Owner,
    ) -> Res<Answer> {
        let caller = &process.caller;
        match self.find(process, path)? {
            Node::Directory(cgroup) => {
                let old = self.engine.tree().get(cgroup).ok_or(Errno::ENODEV)?.owner();
                done(self.engine.set_owner(caller, cgroup, change(old)))
            }
            Node::File(cgroup, file) => {
                let old = self.engine.file_owner(cgroup, file).map_err(|e| errno(&e))?;
                done(self.engine.set_file_owner(caller, cgroup, file, change(old)))
            }
        }
    }

    fn stat(&self, process: &Process, path: &str) -> Res<Answer> {
        let (kind, nlink, owner) = match self.find(process, path)? {
            Node::Directory(cgroup) => {
                let directory = self.engine.tree().get(cgroup).ok_or(Errno::ENOENT)?;
                (DIRECTORY, 2 + directory.child_count() as u64, directory.owner())
            }
            Node::File(cgroup, file) => {
                (REGULAR, 1, self.engine.file_owner(cgroup, file).map_err(|e| errno(&e))?)
            }
        };
        Ok(Answer::Stat { mode: kind | owner.mode, nlink, size: 0, uid: owner.uid, gid: owner.gid })
    }

    fn list(&self, process: &Process, path: &str, with_directories: bool) -> Res<Answer> {
        let Node::Directory(cgroup) = self.find(process, path)? else { return Err(Errno::ENOTDIR) };
        let tree = self.engine.tree();
        // who stands in a removed directory sees it empty
        let Some(directory) = tree.get(cgroup) else { return Ok(Answer::Names(Vec::new())) };
        must(&process.caller, &directory.owner(), Access::READ)?;
        let files = self.engine.files(cgroup).map_err(|e| errno(&e))?;
        let mut names: Vec<String> = files.into_iter().map(|file| file.name).collect();
        if with_directories {
            let name = |child: CgroupId| String::from_utf8_lossy(tree[child].name()).into_owned();
            names.extend(tree.children(cgroup).map(name));
        }
        names.sort();
        Ok(Answer::Names(names))
    }
}

/// Is it a label alone? What is mounted there has its entry in the file system around it.
fn is_place(path: &str) -> bool {
    path != "." && !path.trim_end_matches('/').contains('/')
}

fn must(caller: &Caller, owner: &Owner, access: Access) -> Res<()> {
    if caller.may(owner, access) { Ok(()) } else { Err(Errno::EACCES) }
}

fn file<'a>(process: &'a mut Process, handle: &str) -> Res<&'a mut OpenFile> {
    process.files.get_mut(handle).ok_or(Errno::EBADF)
}
