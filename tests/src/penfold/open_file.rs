//! An open control file: offset, content, and the credentials it was opened with.

use super::vfs::{Vfs, errno};
use crate::ops::Answer;
use crate::target::Res;
use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, Tid, control_file::FileId};

/// A file that stays open when its group is removed, and then answers ENODEV.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// The mount it was opened through, which it keeps busy.
    pub(super) label: String,
    pub(super) cgroup: CgroupId,
    /// `None` for the directory itself.
    pub(super) file: Option<FileId>,
    /// Who opened it: permission to move a task is theirs, whoever writes (B4.4).
    pub(super) opener: Caller,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) offset: u64,
    /// What the last reads have made, and the offset they came to.
    pub(super) content: Vec<u8>,
    pub(super) read_to: u64,
}

impl OpenFile {
    /// Content is made anew at offset 0 and wherever a seek or a write has been.
    pub(super) fn read(&mut self, vfs: &mut Vfs, length: usize) -> Res<Answer> {
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
        Ok(Answer::Bytes(self.content[start..end].to_vec()))
    }

    /// One command, wherever the offset is.
    pub(super) fn write_at(&self, vfs: &mut Vfs, writer: Tid, data: &[u8]) -> Res<Answer> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        let file = self.file.ok_or(Errno::EISDIR)?;
        let caller = Caller { task: writer, ..self.opener.clone() };
        let Vfs { engine, host, .. } = vfs;
        engine.session(host, &caller).write(self.cgroup, file, data).map_err(|e| errno(&e))?;
        Ok(Answer::Count(data.len() as u64))
    }

    pub(super) fn write(&mut self, vfs: &mut Vfs, writer: Tid, data: &[u8]) -> Res<Answer> {
        let answer = self.write_at(vfs, writer, data)?;
        self.offset += data.len() as u64;
        Ok(answer)
    }

    pub(super) fn seek(&mut self, vfs: &Vfs, offset: i64) -> Res<Answer> {
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        vfs.must_live(self.cgroup)?;
        self.offset = offset;
        Ok(Answer::Count(offset))
    }
}
