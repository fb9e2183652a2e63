//! Open control files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fuser::FileHandle;
use penfold_core::{CgroupId, Error, control_file::FileId};

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::Operation;
use crate::service::Service;

/// Open files or directories by the handle that the kernel knows them by.
pub(super) struct HandleTable<T> {
    open: Mutex<(u64, HashMap<u64, Arc<T>>)>,
}

impl<T> HandleTable<T> {
    pub(super) fn new() -> HandleTable<T> {
        HandleTable { open: Mutex::new((0, HashMap::new())) }
    }

    pub(super) fn insert(&self, opened: T) -> FileHandle {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let number = open.0;
        open.1.insert(number, Arc::new(opened));
        FileHandle(number)
    }

    pub(super) fn get(&self, handle: FileHandle) -> Option<Arc<T>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).1.get(&handle.0).cloned()
    }

    pub(super) fn remove(&self, handle: FileHandle) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&handle.0);
    }
}

/// An open control file. It stays open when its cgroup is removed, and then answers `ENODEV`.
pub(super) struct OpenControlFile {
    pub(super) cgroup: CgroupId,
    pub(super) file: FileId,
    /// The client that opened the file. Its rights decide a move of a task, whichever process writes (B4.4).
    opener: Client,
    reading: Mutex<ReadState>,
}

/// The content of the last reads, and the offset that they came to.
#[derive(Default)]
struct ReadState {
    content: Vec<u8>,
    read_to: u64,
    has_read: bool,
}

impl OpenControlFile {
    pub(super) fn new(cgroup: CgroupId, file: FileId, mut opener: Client) -> OpenControlFile {
        if file == FileId::ReleaseAgent {
            // the rights of its number are looked at again when it writes, perhaps after the opener's end
            opener.remember_process();
        }
        OpenControlFile { cgroup, file, opener, reading: Mutex::default() }
    }

    fn is_removed(&self, service: &Service) -> Result<bool, Failure> {
        service.with_snapshot(|engine, _| engine.tree().get(self.cgroup).is_none())
    }

    fn lists_tasks(&self) -> bool {
        matches!(self.file, FileId::Tasks | FileId::Procs)
    }

    /// Passes a piece of the content to `answer`. The content is made anew at offset 0, and at every offset that does
    /// not follow the last read.
    ///
    /// # Errors
    /// `ENODEV` for a removed cgroup, unless the read continues a record that an earlier one has begun. As
    /// [`Service::read`].
    pub(super) fn read<R>(
        &self,
        service: &Service,
        offset: u64,
        size: u32,
        answer: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Failure> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let cgroup = self.cgroup;
        if offset == 0 || offset != reading.read_to {
            let mut reader = self.opener.clone();
            if self.lists_tasks() {
                reader.look_up_namespace();
            }
            reading.content = service.read(&reader, cgroup, self.file)?;
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(reading.content.len());
        let mut end = start.saturating_add(size as usize).min(reading.content.len());
        if offset > 0 && self.is_removed(service)? {
            // a record that a read has begun may be read to its end
            end = end.min(self.begun(&reading.content, start));
            if start == end {
                return Err(Error::Removed { operation: "read" }.into());
            }
        }
        reading.read_to = offset.saturating_add((end - start) as u64);
        reading.has_read = true;
        Ok(answer(&reading.content[start..end]))
    }

    /// The end of the record that a read up to `at` has begun. A record is a line where tasks are listed, and the whole
    /// content elsewhere, as in `seq_read` of the kernel.
    fn begun(&self, content: &[u8], at: usize) -> usize {
        if !self.lists_tasks() {
            return content.len();
        }
        if at == 0 || content[at - 1] == b'\n' {
            return at;
        }
        content[at..].iter().position(|byte| *byte == b'\n').map_or(content.len(), |newline| at + newline + 1)
    }

    /// Performs a write of the task `writer`, whatever its offset: one write is one command. The number 0 in `content`
    /// means the writer.
    ///
    /// # Errors
    /// `ENODEV` for a removed cgroup; as [`Service::perform`].
    pub(super) fn write(
        &self,
        service: &Service,
        origin: crate::change::ViewId,
        writer: i32,
        content: &[u8],
    ) -> Result<(), Failure> {
        let mut client = self.opener.clone();
        // the right to set a release agent is checked for the process that opened the file
        if self.file != FileId::ReleaseAgent {
            client.caller.task.0 = writer;
        }
        let operation = Operation::of_write(self.file, content, |number| {
            // the writer's own number needs no translation
            if number != 0 {
                client.look_up_namespace();
            }
            client.task(number)
        });
        let operation = match operation {
            // a removed cgroup refuses every write, also one that names no task
            Err(_) if self.is_removed(service)? => return Err(Error::Removed { operation: "write" }.into()),
            operation => operation?,
        };
        service.perform(&client, Some(origin), self.cgroup, operation)
    }

    /// True after the first read. Until then poll(2) reports a change, as the kernel's files do.
    pub(super) fn has_read(&self) -> bool {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).has_read
    }
}
