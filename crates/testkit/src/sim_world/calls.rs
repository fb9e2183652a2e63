//! The calls of the engine, each in one place. The methods for tests call these and differ only in the form of the outcome.

use std::borrow::Cow;

use penfold_core::{
    Access, CgroupId, Errno, MoveScope, Owner, Result, Session, Tid, control_file::FileId, host::Host,
    simulated::ChildKind, subsystem::Subsystem,
};

use super::SimWorld;

impl SimWorld {
    pub(super) fn forked(&mut self, parent: Tid, kind: ChildKind) -> Result<Tid> {
        self.host.fork(&mut self.engine, parent, kind)
    }
}

impl<H: Host> SimWorld<H> {
    fn session(&mut self) -> Session<'_> {
        self.engine.session(&mut self.host, &self.caller)
    }

    pub(super) fn loaded(&mut self, subsystem: impl Subsystem) -> Result<()> {
        self.engine.load(&mut self.host, subsystem)
    }

    pub(super) fn unloaded(&mut self, name: &str) -> Result<()> {
        self.engine.unload(&mut self.host, name)
    }

    pub(super) fn mounted(&mut self, options: &[u8]) -> Result<CgroupId> {
        self.session().mount(options).map(|mounted| mounted.root)
    }

    pub(super) fn mounted_cpuset(&mut self, options: &[u8]) -> Result<CgroupId> {
        self.session().mount_cpuset(options).map(|mounted| mounted.root)
    }

    pub(super) fn remounted(&mut self, root: CgroupId, options: &[u8]) -> Result<()> {
        self.session().remount(root, options)
    }

    pub(super) fn unmounted(&mut self, root: CgroupId) -> Result<()> {
        self.engine.unmount(&mut self.host, root)
    }

    pub(super) fn made(&mut self, parent: CgroupId, name: &[u8], mode: u32) -> Result<CgroupId> {
        self.session().mkdir(parent, name, mode)
    }

    pub(super) fn removed(&mut self, cgroup: CgroupId) -> Result<()> {
        self.session().rmdir(cgroup)
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

    pub(super) fn attached(&mut self, cgroup: CgroupId, task: Tid, scope: MoveScope) -> Result<()> {
        self.session().attach(cgroup, task, scope)
    }

    pub(super) fn opened(&mut self, cgroup: CgroupId, name: &str, access: Access) -> Result<FileId> {
        self.engine.open(&self.caller, cgroup, &self.full_name(cgroup, name), access)
    }

    pub(super) fn opened_content(&mut self, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>> {
        self.session().read(cgroup, file)
    }

    pub(super) fn written_opened(&mut self, cgroup: CgroupId, file: FileId, content: &[u8]) -> Result<()> {
        self.session().write(cgroup, file, content)
    }

    pub(super) fn content(&mut self, cgroup: CgroupId, name: &str) -> Result<String> {
        let file = self.opened(cgroup, name, Access::READ)?;
        self.opened_content(cgroup, file).map(text)
    }

    pub(super) fn written(&mut self, cgroup: CgroupId, name: &str, content: &[u8]) -> Result<()> {
        let file = self.opened(cgroup, name, Access::WRITE)?;
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
