//! File operations as data, so that any process can perform them.

use crate::target::Res;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, renameat2};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Whence, lseek, mkfifo};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::os::unix::{fs as unix_fs, fs::symlink};

/// One file operation. Each is one system call, perhaps after an open of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the arguments of the system call of that name
pub enum FsOp {
    Mkdir {
        path: String,
        mode: u32,
    },
    Rmdir {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// `renameat2` with raw flags.
    Rename2 {
        from: String,
        to: String,
        flags: u32,
    },
    Unlink {
        path: String,
    },
    Symlink {
        path: String,
    },
    Link {
        from: String,
        path: String,
    },
    Fifo {
        path: String,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    Chown {
        path: String,
        uid: u32,
        gid: u32,
    },
    Truncate {
        path: String,
        len: u64,
    },
    Stat {
        path: String,
    },
    List {
        path: String,
    },
    /// Like `List`, without directories: for a root in which other programs may have groups.
    ListFiles {
        path: String,
    },
    Read {
        path: String,
    },
    Write {
        path: String,
        data: Vec<u8>,
    },
    /// Opens with raw flags (`O_*`) and mode 0644, and keeps the file under `handle`.
    Open {
        handle: String,
        path: String,
        flags: i32,
    },
    HandleRead {
        handle: String,
        len: usize,
    },
    HandleWrite {
        handle: String,
        data: Vec<u8>,
    },
    HandleWriteAt {
        handle: String,
        data: Vec<u8>,
        offset: u64,
    },
    HandleSeek {
        handle: String,
        offset: i64,
    },
    Close {
        handle: String,
    },
    Chdir {
        path: String,
    },
    Umask {
        mask: u32,
    },
}

impl FsOp {
    /// Every path in the operation, to be replaced by the target's own.
    pub fn paths_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Rename { from, to } | Self::Rename2 { from, to, .. } => vec![from, to],
            Self::Link { from, path } => vec![from, path],
            Self::Mkdir { path, .. }
            | Self::Rmdir { path }
            | Self::Unlink { path }
            | Self::Symlink { path }
            | Self::Fifo { path }
            | Self::Chmod { path, .. }
            | Self::Chown { path, .. }
            | Self::Truncate { path, .. }
            | Self::Stat { path }
            | Self::List { path }
            | Self::ListFiles { path }
            | Self::Read { path }
            | Self::Write { path, .. }
            | Self::Open { path, .. }
            | Self::Chdir { path } => vec![path],
            Self::HandleRead { .. }
            | Self::HandleWrite { .. }
            | Self::HandleWriteAt { .. }
            | Self::HandleSeek { .. }
            | Self::Close { .. }
            | Self::Umask { .. } => vec![],
        }
    }
}

/// The result of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FsAnswer {
    /// Nothing but success.
    Done,
    /// Bytes taken by a write, or a new file offset.
    Count(u64),
    /// Content.
    Bytes(Vec<u8>),
    /// Names in a directory, sorted (the kernel's order is that of a hash).
    Names(Vec<String>),
    /// The parts of stat(2) that a cgroup file system defines.
    Stat {
        /// Type and permissions.
        mode: u32,
        /// Links.
        nlink: u64,
        /// Bytes.
        size: u64,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// Performs operations on the real file system and keeps the files opened by them.
#[derive(Debug, Default)]
pub struct Performer {
    files: HashMap<String, File>,
}

impl Performer {
    /// Performs one operation. The error is that of the failed system call, or `EBADF` for a handle that is not open.
    pub fn perform(&mut self, op: &FsOp) -> Res<FsAnswer> {
        match op {
            FsOp::Mkdir { path, mode } => done(DirBuilder::new().mode(*mode).create(path)),
            FsOp::Rmdir { path } => done(fs::remove_dir(path)),
            FsOp::Rename { from, to } => done(fs::rename(from, to)),
            FsOp::Rename2 { from, to, flags } => rename2(from, to, *flags),
            FsOp::Unlink { path } => done(fs::remove_file(path)),
            FsOp::Symlink { path } => done(symlink("target", path)),
            FsOp::Link { from, path } => done(fs::hard_link(from, path)),
            FsOp::Fifo { path } => {
                mkfifo(path.as_str(), Mode::from_bits_truncate(0o644)).map(|()| FsAnswer::Done)
            }
            FsOp::Chmod { path, mode } => done(fs::set_permissions(path, Permissions::from_mode(*mode))),
            FsOp::Chown { path, uid, gid } => done(unix_fs::chown(path, Some(*uid), Some(*gid))),
            FsOp::Truncate { path, len } => {
                nix::unistd::truncate(path.as_str(), (*len).cast_signed()).map(|()| FsAnswer::Done)
            }
            FsOp::Stat { path } => stat(path),
            FsOp::List { path } => list(path, true),
            FsOp::ListFiles { path } => list(path, false),
            FsOp::Read { path } => fs::read(path).map(FsAnswer::Bytes).map_err(errno),
            FsOp::Write { path, data } => {
                let mut file = OpenOptions::new().write(true).open(path).map_err(errno)?;
                count(file.write(data))
            }
            FsOp::Chdir { path } => done(std::env::set_current_dir(path)),
            FsOp::Umask { mask } => {
                umask(Mode::from_bits_truncate(*mask));
                Ok(FsAnswer::Done)
            }
            _ => self.perform_on_handle(op),
        }
    }

    fn perform_on_handle(&mut self, op: &FsOp) -> Res<FsAnswer> {
        match op {
            FsOp::Open { handle, path, flags } => {
                let flags = OFlag::from_bits_retain(*flags) | OFlag::O_CLOEXEC;
                let fd = nix::fcntl::open(path.as_str(), flags, Mode::from_bits_truncate(0o644))?;
                self.files.insert(handle.clone(), File::from(fd));
                Ok(FsAnswer::Done)
            }
            FsOp::HandleRead { handle, len } => {
                let mut buffer = vec![0; *len];
                let got = self.file(handle)?.read(&mut buffer).map_err(errno)?;
                buffer.truncate(got);
                Ok(FsAnswer::Bytes(buffer))
            }
            FsOp::HandleWrite { handle, data } => count(self.file(handle)?.write(data)),
            FsOp::HandleWriteAt { handle, data, offset } => count(self.file(handle)?.write_at(data, *offset)),
            FsOp::HandleSeek { handle, offset } => lseek(self.file(handle)?, *offset, Whence::SeekSet)
                .map(|offset| FsAnswer::Count(offset.cast_unsigned())),
            FsOp::Close { handle } => self.files.remove(handle).map(|_| FsAnswer::Done).ok_or(Errno::EBADF),
            _ => unreachable!("{op:?} is not an operation on a handle"),
        }
    }

    fn file(&mut self, handle: &str) -> Res<&mut File> {
        self.files.get_mut(handle).ok_or(Errno::EBADF)
    }
}

fn rename2(from: &str, to: &str, flags: u32) -> Res<FsAnswer> {
    let cwd = nix::fcntl::AT_FDCWD;
    renameat2(cwd, from, cwd, to, RenameFlags::from_bits_retain(flags)).map(|()| FsAnswer::Done)
}

fn stat(path: &str) -> Res<FsAnswer> {
    let meta = fs::symlink_metadata(path).map_err(errno)?;
    Ok(FsAnswer::Stat {
        mode: meta.mode(),
        nlink: meta.nlink(),
        size: meta.size(),
        uid: meta.uid(),
        gid: meta.gid(),
    })
}

fn list(path: &str, with_directories: bool) -> Res<FsAnswer> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(errno)? {
        let entry = entry.map_err(errno)?;
        if with_directories || !entry.file_type().map_err(errno)?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(FsAnswer::Names(names))
}

fn done(result: io::Result<()>) -> Res<FsAnswer> {
    result.map(|()| FsAnswer::Done).map_err(errno)
}

fn count(result: io::Result<usize>) -> Res<FsAnswer> {
    result.map(|n| FsAnswer::Count(n as u64)).map_err(errno)
}

/// The errno of an I/O error; `EIO` for an error of the standard library itself.
pub fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32))
}
