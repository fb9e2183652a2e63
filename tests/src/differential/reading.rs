//! Reads content, directories and whole trees.

use super::byte_string::ByteString;
use super::outcome::{OperationOutcome, Status, TreeNode};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::sys::uio::pread;
use nix::unistd::read;
use rustix::fs::{FileType, RawDir};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

/// An open file and its kind.
#[derive(Debug)]
pub(super) struct OpenedFile {
    pub(super) fd: OwnedFd,
    /// Whether the file takes and lists process numbers.
    pub(super) members: bool,
    /// With `members`: whether the file is in the root directory.
    pub(super) root: bool,
    /// Whether the file shows a freezer's state.
    pub(super) state: bool,
}

/// The number of further reads while a group is still freezing, and the time between two.
const FREEZING: (u32, Duration) = (500, Duration::from_millis(2));

#[allow(clippy::unnecessary_cast)] // other processors have other types
pub(super) fn status(status: &FileStat) -> Status {
    Status {
        mode: format!("{:o}", status.st_mode),
        nlink: status.st_nlink as u64,
        uid: status.st_uid,
        gid: status.st_gid,
        size: status.st_size,
        blksize: status.st_blksize as i64,
        blocks: status.st_blocks,
    }
}

/// Waits for the end of freezing, whose duration can't be compared.
fn settle(opened: &OpenedFile) {
    let mut buffer = [0; 16];
    for _ in 0..if opened.state { FREEZING.0 } else { 0 } {
        if pread(&opened.fd, &mut buffer, 0).map_or(true, |got| &buffer[..got] != b"FREEZING\n") {
            break;
        }
        sleep(FREEZING.1);
    }
}

/// Reads to the end with buffers of these sizes in turn.
pub(super) fn whole(opened: &OpenedFile, sizes: &[usize]) -> nix::Result<OperationOutcome> {
    settle(opened);
    let pieces = pieces(opened, sizes)?;
    Ok(if opened.members {
        OperationOutcome::Members { pieces, root: opened.root }
    } else {
        OperationOutcome::Bytes(pieces)
    })
}

fn pieces(opened: &OpenedFile, sizes: &[usize]) -> nix::Result<Vec<ByteString>> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        let mut buffer = vec![0; (*size).max(1)];
        let got = read(&opened.fd, &mut buffer)?;
        if got == 0 {
            break;
        }
        buffer.truncate(got);
        pieces.push(ByteString(buffer));
    }
    Ok(pieces)
}

/// One read through `read`.
pub(super) fn part(
    opened: &OpenedFile,
    len: usize,
    read: impl Fn(&mut [u8]) -> nix::Result<usize>,
) -> nix::Result<OperationOutcome> {
    settle(opened);
    let mut buffer = vec![0; len];
    let got = read(&mut buffer)?;
    buffer.truncate(got);
    let bytes = ByteString(buffer);
    Ok(if opened.members {
        OperationOutcome::MembersPart { bytes, root: opened.root }
    } else {
        OperationOutcome::Bytes(vec![bytes])
    })
}

/// Every entry from the directory's offset on, through a buffer of `size` bytes.
pub(super) fn list(directory: impl AsFd, size: usize) -> nix::Result<OperationOutcome> {
    Ok(OperationOutcome::Entries(entries(directory, size)?))
}

fn entries(directory: impl AsFd, size: usize) -> nix::Result<Vec<(ByteString, char)>> {
    let mut buffer: Vec<u8> = Vec::with_capacity(size);
    let mut entries = Vec::new();
    let mut listing = RawDir::new(directory, &mut buffer.spare_capacity_mut()[..size]);
    while let Some(entry) = listing.next() {
        let entry = entry.map_err(|e| Errno::from_raw(e.raw_os_error()))?;
        let kind = match entry.file_type() {
            FileType::Directory => 'd',
            FileType::RegularFile => 'f',
            FileType::Unknown => '?',
            _ => 'o',
        };
        entries.push((ByteString::from(entry.file_name().to_bytes()), kind));
    }
    entries.sort();
    Ok(entries)
}

/// The root and everything below it: directories before their entries, in order of name.
pub(super) fn tree(root: &OwnedFd) -> nix::Result<OperationOutcome> {
    let mut nodes = Vec::new();
    let start = openat(root, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let seen = fstatat(root, ".", AtFlags::empty()).map(|s| status(&s));
    visit(&start, b"", seen, true, &mut nodes);
    Ok(OperationOutcome::Tree(nodes))
}

fn visit(directory: &OwnedFd, path: &[u8], seen: nix::Result<Status>, root: bool, nodes: &mut Vec<TreeNode>) {
    let names = entries(directory, 32768);
    nodes.push(TreeNode {
        path: path.into(),
        status: seen.map_err(|e| format!("{e:?}")),
        content: Box::new(names.clone().map_or_else(OperationOutcome::failed, OperationOutcome::Entries)),
    });
    for (name, kind) in names.unwrap_or_default() {
        if name.0 == b"." || name.0 == b".." {
            continue;
        }
        let path = [path, b"/", &name.0].concat();
        let seen = fstatat(directory, &*name.0, AtFlags::AT_SYMLINK_NOFOLLOW).map(|s| status(&s));
        let flags = if kind == 'd' { OFlag::O_RDONLY | OFlag::O_DIRECTORY } else { OFlag::O_RDONLY };
        let fd = openat(directory, &*name.0, flags | OFlag::O_CLOEXEC, Mode::empty());
        let content = match fd {
            Ok(fd) if kind == 'd' => {
                visit(&fd, &path, seen, false, nodes);
                continue;
            }
            Ok(fd) => {
                let members = name.0 == b"tasks" || name.0 == b"cgroup.procs";
                let state = name.0 == b"freezer.state";
                whole(&OpenedFile { fd, members, root, state }, &[65536])
                    .unwrap_or_else(OperationOutcome::failed)
            }
            Err(errno) => OperationOutcome::failed(errno),
        };
        let status = seen.map_err(|e| format!("{e:?}"));
        nodes.push(TreeNode { path: path.as_slice().into(), status, content: Box::new(content) });
    }
}
