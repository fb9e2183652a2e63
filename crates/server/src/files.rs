//! Reading and writing control files, and attaching tasks, as a client.

use nix::errno::Errno;
use penfold_core::{
    CgroupId, Engine, Error, ErrorKind, MoveScope, Result as CoreResult, Tid, control_file::FileId,
    host::Host,
};
use penfold_linux::proc::TaskStatus;

use crate::change::{EngineChange, ViewId};
use crate::client::Client;
use crate::confinement;
use crate::failure::Failure;
use crate::members;
use crate::operation::Operation;
use crate::service::Service;

impl Service {
    /// The whole content of a control file, with task numbers of the client's pid namespace. In a root, `tasks` and
    /// `cgroup.procs` also list every task of the machine that is in no other cgroup, supervised or not.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read(&self, client: &Client, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>, Failure> {
        let caller = &client.caller;
        match file {
            FileId::Tasks | FileId::Procs => members::list(self, client, cgroup, file),
            FileId::Subsystem { .. } => {
                self.request_exact(|engine, host| engine.session(host, caller).read(cgroup, file))
            }
            _ => self.request(|engine, host| engine.session(host, caller).read(cgroup, file)),
        }
    }

    /// Performs an operation and announces it. An attach first adopts a task that is not supervised yet, if the
    /// client may move it. An attach of a zombie succeeds and changes nothing.
    ///
    /// # Errors
    /// As [`Engine::write`] and [`Engine::attach`]. For a task that can't be supervised, as
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
            Operation::Attach { task, scope } => {
                if self.attach(client, cgroup, task, scope)? == Attached::Zombie {
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

    /// The request that writes `bytes`, if the cgroup is in the client's reach.
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
            engine.session(host, &client.caller).write(cgroup, operation.file(), bytes)
        }
    }

    /// Moves a task. A supervised task costs one request.
    fn attach(
        &self,
        client: &Client,
        cgroup: CgroupId,
        task: Tid,
        scope: MoveScope,
    ) -> Result<Attached, Failure> {
        let confined = self.confines();
        let operation = Operation::Attach { task, scope };
        let attach = |engine: &mut Engine, host: &mut dyn Host| -> CoreResult<Option<Attached>> {
            engine.tree().get(cgroup).ok_or(Error::Removed { operation: "write" })?;
            if host.css_set(task).is_none() && host.task(task).is_none() {
                return Ok(None);
            }
            if confined {
                confinement::check(engine, host, client.caller.task, cgroup, &operation)?;
            }
            let attached = engine.session(host, &client.caller).attach(cgroup, task, scope);
            attached.map_err(|error| error.in_file(&engine.file_name(cgroup, operation.file())))?;
            Ok(Some(Attached::Moved))
        };
        let first = match self.request(attach) {
            // a fork of this task is in flight: the exact request settles it
            Err(failure) if failure.kind == ErrorKind::TaskBusy => self.request_exact(attach),
            answer => answer,
        };
        // An unknown task is adopted below. `NoTask` for a known one means that it has died since: `supervise` finds
        // out whether it is a zombie by now.
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
    /// The task moved, or was there already.
    Moved,
    /// The task is a zombie. It does not move, and that is no error.
    Zombie,
}

/// Checks that the client may set a release agent, which runs with the daemon's rights. Root without its
/// capabilities, as in a container, may not. The daemon itself may.
///
/// The engine has the rule for all other users, so this check passes them on.
///
/// # Errors
/// `EPERM`.
fn require_admin_now(client: &Client) -> Result<(), Failure> {
    let is = |task| {
        let process = TaskStatus::read(task);
        // the facts are the client's if it lives after the look
        process.is_some_and(|process| process.is_administrator()) && client.must_live().is_ok()
    };
    if client.caller.uid != 0
        || client.caller.task.0 == std::process::id().cast_signed()
        || is(client.caller.task)
    {
        return Ok(());
    }
    let detail = "write is not permitted: that takes the administrator's rights (CAP_SYS_ADMIN)";
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, "release_agent", detail))
}
