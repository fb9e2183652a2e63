//! An open control file: offset, content, and the credentials of its open.

use super::vfs::{Vfs, errno};
use crate::ops::FsAnswer;
use crate::target::Res;
use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, Tid, control_file::FileId};

/// An open file, which answers `ENODEV` after its group is removed.
#[derive(Debug)]
pub(super) struct VfsOpenFile {
    /// The mount of the open, which the file keeps busy.
    pub(super) label: String,
    pub(super) cgroup: CgroupId,
    /// `None` for the directory itself.
    pub(super) file: Option<FileId>,
    /// The opener, whose permissions decide about a move of a task by any writer (B4.4).
    pub(super) opener: Caller,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) offset: u64,
    /// The content that the last reads have made, and the offset after them.
    pub(super) content: Vec<u8>,
    pub(super) read_to: u64,
}

impl VfsOpenFile {
    /// Reads. The content is made anew at offset 0, and after a seek or a write.
    pub(super) fn read(&mut self, vfs: &mut Vfs, length: usize) -> Res<FsAnswer> {
        if !self.readable {
            return Err(Errno::EBADF);
        }
        let file = self.file.ok_or(Errno::EISDIR)?;
        vfs.must_live(self.cgroup)?;
        if self.offset == 0 || self.offset != self.read_to {
            self.content = vfs.read(&self.opener, self.cgroup, file)?;
        }
        let start = (self.offset as usize).min(self.content.len());
        let end = (start + length).min(self.content.len());
        self.offset += (end - start) as u64;
        self.read_to = self.offset;
        Ok(FsAnswer::Bytes(self.content[start..end].to_vec()))
    }

    /// Writes one command, at any offset.
    pub(super) fn write_at(&self, vfs: &mut Vfs, writer: Tid, data: &[u8]) -> Res<FsAnswer> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        let file = self.file.ok_or(Errno::EISDIR)?;
        let caller = Caller { task: writer, ..self.opener.clone() };
        let Vfs { engine, host, .. } = vfs;
        engine.session(host, &caller).write(self.cgroup, file, data).map_err(|e| errno(&e))?;
        Ok(FsAnswer::Count(data.len() as u64))
    }

    pub(super) fn write(&mut self, vfs: &mut Vfs, writer: Tid, data: &[u8]) -> Res<FsAnswer> {
        let answer = self.write_at(vfs, writer, data)?;
        self.offset += data.len() as u64;
        Ok(answer)
    }

    pub(super) fn seek(&mut self, vfs: &Vfs, offset: i64) -> Res<FsAnswer> {
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        vfs.must_live(self.cgroup)?;
        self.offset = offset;
        Ok(FsAnswer::Count(offset))
    }
}
