//! Reading and writing control files, and attaching tasks, as a client.

use nix::errno::Errno;
use penfold_core::{
    CgroupId, Engine, Error, ErrorKind, Result as CoreResult, Tid, control_file::FileId, host::Host,
};
use penfold_linux::process::Process;

use crate::change::{EngineChange, ViewId};
use crate::client::Client;
use crate::confinement;
use crate::failure::Failure;
use crate::members;
use crate::operation::Operation;
use crate::service::Service;

impl Service {
    /// The whole content of a control file, tasks in the client's numbers. In a root, `tasks` and `cgroup.procs` have
    /// every task of the machine that is nowhere else, supervised or not.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read(&self, client: &Client, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>, Failure> {
        let caller = &client.caller;
        match file {
            FileId::Tasks | FileId::Procs => members::list(self, client, cgroup, file),
            FileId::Subsystem { .. } => {
                self.request_exact(|engine, host| engine.read(host, caller, cgroup, file))
            }
            _ => self.request(|engine, host| engine.read(host, caller, cgroup, file)),
        }
    }

    /// Does what a client has written, as one command. A task that is not supervised yet is adopted first, if the client
    /// may move it.
    ///
    /// # Errors
    /// As [`Engine::write`] and [`Engine::attach`]; for a task that can't be supervised those of
    /// [`HostHandle::adopt`](penfold_linux::host::HostHandle::adopt).
    pub fn perform(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        cgroup: CgroupId,
        operation: Operation<'_>,
    ) -> Result<(), Failure> {
        let file = operation.file();
        match operation {
            Operation::Attach { task, whole } => {
                if self.attach(client, cgroup, task, whole)? == Attached::Zombie {
                    return Ok(());
                }
            }
            Operation::ReleaseAgent { bytes } => {
                require_admin_now(client)?;
                self.request(self.write(client, cgroup, &operation, bytes))?;
            }
            Operation::Write { bytes, .. } => {
                let write = self.write(client, cgroup, &operation, bytes);
                match file {
                    FileId::Subsystem { .. } => self.request_exact(write)?,
                    _ => self.request(write)?,
                }
            }
        }
        self.announce(origin, EngineChange::Written { cgroup, file });
        Ok(())
    }

    /// The request that writes `bytes`, as far as the client reaches.
    fn write<'a>(
        &self,
        client: &'a Client,
        cgroup: CgroupId,
        operation: &'a Operation<'a>,
        bytes: &'a [u8],
    ) -> impl FnOnce(&mut Engine, &mut dyn Host) -> CoreResult<()> + use<'a> {
        let confined = self.confines();
        move |engine, host| {
            if confined {
                confinement::check(engine, host, client.caller.task, cgroup, operation)?;
            }
            engine.write(host, &client.caller, cgroup, operation.file(), bytes)
        }
    }

    /// Moves a task. One that is supervised costs one request.
    fn attach(&self, client: &Client, cgroup: CgroupId, task: Tid, whole: bool) -> Result<Attached, Failure> {
        let confined = self.confines();
        let operation = Operation::Attach { task, whole };
        let attach = |engine: &mut Engine, host: &mut dyn Host| -> CoreResult<Option<Attached>> {
            engine.tree().get(cgroup).ok_or(Error::Removed { operation: "write" })?;
            if host.css_set(task).is_none() && host.task(task).is_none() {
                return Ok(None);
            }
            if confined {
                confinement::check(engine, host, client.caller.task, cgroup, &operation)?;
            }
            let attached = engine.attach(host, &client.caller, cgroup, task, whole);
            attached.map_err(|error| error.in_file(&engine.file_name(cgroup, operation.file())))?;
            Ok(Some(Attached::Moved))
        };
        let first = match self.request(attach) {
            // a fork of it is in flight, which the exact request settles
            Err(failure) if failure.kind == ErrorKind::TaskBusy => self.request_exact(attach),
            answer => answer,
        };
        // no such task, of one that was there a moment ago, as one that was not: it may be a zombie by now
        match first {
            Ok(Some(attached)) => return Ok(attached),
            Err(failure) if failure.kind != ErrorKind::NoTask => return Err(failure),
            _ => {}
        }
        if !members::supervise(self, client, task)? {
            return Ok(Attached::Zombie);
        }
        match self.request_exact(attach) {
            Ok(Some(attached)) => Ok(attached),
            Err(failure) if failure.kind != ErrorKind::NoTask => Err(failure),
            lost if members::supervise(self, client, task)? => {
                Err(lost.err().unwrap_or_else(|| Error::NoTask(task).into()))
            }
            _ => Ok(Attached::Zombie),
        }
    }
}

/// How an attach ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attached {
    /// As asked, or there was nothing to move.
    Moved,
    /// A zombie moves nowhere, and that is no error.
    Zombie,
}

/// A release agent runs with the daemon's rights: root without its capabilities, as in a container, may not name one.
fn require_admin_now(client: &Client) -> Result<(), Failure> {
    let is = |pid| Process::read(pid).is_some_and(|process| process.is_administrator());
    if client.caller.uid != 0
        || client.caller.task.0 == std::process::id().cast_signed()
        || is(client.caller.task.0)
    {
        return Ok(());
    }
    let detail = "write is not permitted: that takes the administrator's rights (CAP_SYS_ADMIN)";
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "release_agent", detail))
}
