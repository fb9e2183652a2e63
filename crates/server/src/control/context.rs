//! The context of one call: the server, the client, and the descriptors that came with the call.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::{Access, CgroupId, Engine, ErrorKind, control_file::FileId};

use super::path;
use super::server::ControlServer;
use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;

/// A call that is being answered.
pub(super) struct CallContext<'a> {
    pub(super) server: &'a ControlServer,
    /// The service, with requests that wait in the queue of the client's user.
    pub(super) service: &'a Service,
    pub(super) client: &'a Client,
    pub(super) files: Vec<Arc<OwnedFd>>,
}

impl CallContext<'_> {
    /// The service that the call is for.
    pub(super) fn service(&self) -> &Service {
        self.service
    }

    /// The cgroup at an address.
    ///
    /// # Errors
    /// As [`path::cgroup`].
    pub(super) fn cgroup(&self, address: &str) -> Result<CgroupId, Failure> {
        self.look_at(address, |_, _, cgroup| Ok(cgroup))
    }

    /// The directory and the last name of an address, as [`path::parent`].
    ///
    /// # Errors
    /// As [`path::parent`].
    pub(super) fn parent(&self, address: &str) -> Result<Option<(CgroupId, Vec<u8>)>, Failure> {
        self.service().with_snapshot(|engine, _| path::parent(engine, &self.client.caller, address))?
    }

    /// A cgroup and one of its control files, after a check that the caller has `access` to the file.
    ///
    /// # Errors
    /// As [`path::cgroup`] and [`Engine::open`].
    pub(super) fn file(
        &self,
        address: &str,
        name: &str,
        access: Access,
    ) -> Result<(CgroupId, FileId), Failure> {
        self.look_at(address, |engine, caller, cgroup| {
            path::must_search(engine, caller, cgroup)?;
            let file = engine.open(caller, cgroup, name, access);
            Ok((cgroup, file.map_err(|error| Failure::from(error).about(file_address(address, name)))?))
        })
    }

    /// Runs `look` on the engine, with the caller and the cgroup at an address.
    ///
    /// # Errors
    /// As [`path::cgroup`], and the errors of `look`.
    pub(super) fn look_at<R>(
        &self,
        address: &str,
        look: impl FnOnce(&Engine, &penfold_core::Caller, CgroupId) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let caller = &self.client.caller;
        let looked = self.service().with_snapshot(|engine, _| {
            let cgroup = path::cgroup(engine, caller, address)?;
            look(engine, caller, cgroup)
        })?;
        looked.map_err(or_about(address))
    }

    /// The name in failures of the task that `number` means for the client. 0 is the client itself.
    pub(super) fn task_name(&self, number: i32) -> String {
        let own = || self.client.number(self.client.caller.task).unwrap_or(0);
        format!("task {}", if number == 0 { own() } else { number })
    }

    /// Puts the subject that the call names into the failure of an attach: the task if it is at fault, else `place`.
    pub(super) fn attaching(&self, number: i32, place: String) -> impl FnOnce(Failure) -> Failure {
        use ErrorKind::{AlreadyExists, NoTask, NotPermitted, TaskBusy, UnsuitableTask, Unsupported};
        let task = self.task_name(number);
        move |failure| match failure.kind {
            NoTask | TaskBusy | UnsuitableTask | NotPermitted | AlreadyExists | Unsupported => {
                failure.about(task)
            }
            _ => about(place)(failure),
        }
    }

    /// The descriptor with this index among those that came with the call.
    ///
    /// # Errors
    /// `EBADF` if there is no such index.
    pub(super) fn passed(&self, index: i64) -> Result<Arc<OwnedFd>, Failure> {
        let file = usize::try_from(index).ok().and_then(|index| self.files.get(index));
        file.cloned().ok_or_else(|| {
            let count = self.files.len();
            let detail = format!("{count} came with the call, the first is 0");
            Failure::new(ErrorKind::InvalidArgument, Errno::EBADF, format!("descriptor {index}"), detail)
        })
    }
}

/// The name of a control file in failures: the address of its cgroup, a slash, and the file.
pub(super) fn file_address(address: &str, file: &str) -> String {
    format!("{}/{file}", address.trim_end_matches('/'))
}

/// Puts the subject that the call names into a failure. [`ErrorKind::Ending`] keeps its own.
pub(super) fn about(subject: impl Into<String>) -> impl FnOnce(Failure) -> Failure {
    move |failure| if failure.kind == ErrorKind::Ending { failure } else { failure.about(subject) }
}

/// As [`about`], but only for a failure without a subject of its own, and for a removed cgroup.
pub(super) fn or_about(subject: impl Into<String>) -> impl FnOnce(Failure) -> Failure {
    move |failure| {
        let nameless = failure.subject.is_empty() || failure.kind == ErrorKind::Removed;
        if nameless { failure.about(subject) } else { failure }
    }
}

/// A number of a call as the kernel's type of it. `what` names the parameter in the failure.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] outside of the type's range.
pub(super) fn number<T: TryFrom<i64>>(what: &str, value: i64) -> Result<T, Failure> {
    T::try_from(value).map_err(|_| {
        let detail = format!("{value} is out of range");
        Failure::new(ErrorKind::InvalidParameter, Errno::EINVAL, what, detail)
    })
}
