//! The calls of the engine, each in one place. The methods for tests call these and differ only in the form of the outcome.

use std::borrow::Cow;

use penfold_core::{CgroupId, Errno, FileId, Host, Owner, Result, Subsystem, Tid};

use super::SimWorld;

/// The access for which a file is opened, in the bits of access(2).
const READ: u32 = 4;
const WRITE: u32 = 2;

impl SimWorld {
    pub(super) fn forked(&mut self, parent: Tid, thread: bool) -> Result<Tid> {
        self.host.fork(&mut self.engine, parent, thread)
    }
}

impl<H: Host> SimWorld<H> {
    pub(super) fn loaded(&mut self, subsystem: impl Subsystem) -> Result<()> {
        self.engine.load(&mut self.host, subsystem)
    }

    pub(super) fn unloaded(&mut self, name: &str) -> Result<()> {
        self.engine.unload(&mut self.host, name)
    }

    pub(super) fn mounted(&mut self, options: &[u8]) -> Result<CgroupId> {
        self.engine.mount(&mut self.host, &self.caller, options).map(|mounted| mounted.root)
    }

    pub(super) fn mounted_cpuset(&mut self, options: &[u8]) -> Result<CgroupId> {
        self.engine.mount_cpuset(&mut self.host, &self.caller, options).map(|mounted| mounted.root)
    }

    pub(super) fn remounted(&mut self, root: CgroupId, options: &[u8]) -> Result<()> {
        self.engine.remount(&mut self.host, &self.caller, root, options)
    }

    pub(super) fn unmounted(&mut self, root: CgroupId) -> Result<()> {
        self.engine.unmount(&mut self.host, root)
    }

    pub(super) fn made(&mut self, parent: CgroupId, name: &[u8], mode: u32) -> Result<CgroupId> {
        self.engine.mkdir(&mut self.host, &self.caller, parent, name, mode)
    }

    pub(super) fn removed(&mut self, cgroup: CgroupId) -> Result<()> {
        self.engine.rmdir(&mut self.host, &self.caller, cgroup)
    }

    pub(super) fn renamed(
        &mut self,
        parent: CgroupId,
        name: &str,
        new_parent: CgroupId,
        new_name: &str,
    ) -> Result<()> {
        self.engine.rename(&self.caller, parent, name.as_bytes(), new_parent, new_name.as_bytes())
    }

    pub(super) fn given(&mut self, cgroup: CgroupId, owner: Owner) -> Result<()> {
        self.engine.set_owner(&self.caller, cgroup, owner)
    }

    pub(super) fn file_given(&mut self, cgroup: CgroupId, name: &str, owner: Owner) -> Result<()> {
        let file = self.file(cgroup, name);
        self.engine.set_file_owner(&self.caller, cgroup, file, owner)
    }

    pub(super) fn attached(&mut self, cgroup: CgroupId, task: Tid, whole_process: bool) -> Result<()> {
        self.engine.attach(&mut self.host, &self.caller, cgroup, task, whole_process)
    }

    pub(super) fn opened(&mut self, cgroup: CgroupId, name: &str, want: u32) -> Result<FileId> {
        self.engine.open(&self.caller, cgroup, &self.full_name(cgroup, name), want)
    }

    pub(super) fn opened_content(&mut self, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>> {
        self.engine.read(&mut self.host, &self.caller, cgroup, file)
    }

    pub(super) fn written_opened(&mut self, cgroup: CgroupId, file: FileId, content: &[u8]) -> Result<()> {
        self.engine.write(&mut self.host, &self.caller, cgroup, file, content)
    }

    pub(super) fn content(&mut self, cgroup: CgroupId, name: &str) -> Result<String> {
        let file = self.opened(cgroup, name, READ)?;
        self.opened_content(cgroup, file).map(text)
    }

    pub(super) fn written(&mut self, cgroup: CgroupId, name: &str, content: &[u8]) -> Result<()> {
        let file = self.opened(cgroup, name, WRITE)?;
        self.written_opened(cgroup, file, content)
    }

    /// The name with the controller's prefix, if the directory has such a file. Files of every cgroup, such as `tasks`, have
    /// no prefix.
    pub(super) fn full_name<'a>(&self, cgroup: CgroupId, name: &'a str) -> Cow<'a, str> {
        if self.controller.is_empty() {
            return name.into();
        }
        let prefixed = format!("{}.{name}", self.controller);
        if self.engine.find_file(cgroup, &prefixed).is_some() { prefixed.into() } else { name.into() }
    }

    /// Keeps the error for [`SimWorld::last_error`], and gives the errno.
    pub(super) fn noted<T>(&mut self, outcome: Result<T>) -> Result<T, Errno> {
        outcome.map_err(|error| {
            let errno = error.errno();
            self.last_error = Some(error);
            errno
        })
    }
}

/// The value of an operation that no rule refuses.
#[track_caller]
pub(super) fn done<T>(outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|error| panic!("refused: {error} [{}]", error.errno()))
}

pub(super) fn text(content: Vec<u8>) -> String {
    String::from_utf8(content).expect("the content is UTF-8")
}
