//! One call: who asks, of whom, with which descriptors.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::{CgroupId, Engine, ErrorKind, control_file::FileId};

use super::path;
use super::server::ControlServer;
use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;

/// A call that is being answered.
pub(super) struct CallContext<'a> {
    pub(super) server: &'a ControlServer,
    pub(super) client: &'a Client,
    pub(super) files: Vec<Arc<OwnedFd>>,
}

impl CallContext<'_> {
    pub(super) fn service(&self) -> &Service {
        &self.server.service
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

    /// A cgroup and one of its control files, which the caller may read (4) or write (2).
    ///
    /// # Errors
    /// As [`path::cgroup`] and [`Engine::open`].
    pub(super) fn file(&self, address: &str, name: &str, want: u32) -> Result<(CgroupId, FileId), Failure> {
        self.look_at(address, |engine, caller, cgroup| {
            path::must_search(engine, caller, cgroup)?;
            let file = engine.open(caller, cgroup, name, want);
            Ok((cgroup, file.map_err(|error| Failure::from(error).about(file_address(address, name)))?))
        })
    }

    /// Looks at the engine as the caller, at an address.
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

    /// A task by the number that the client gave; 0 is the client itself.
    pub(super) fn task_name(&self, number: i32) -> String {
        let own = || self.client.number(self.client.caller.task).unwrap_or(0);
        format!("task {}", if number == 0 { own() } else { number })
    }

    /// Puts the names of the call into the failure of an attach: the task's where that is at fault, otherwise `place`.
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

    /// A descriptor that came with the call.
    ///
    /// # Errors
    /// `EBADF` if there is none of that index.
    pub(super) fn passed(&self, index: i64) -> Result<Arc<OwnedFd>, Failure> {
        let file = usize::try_from(index).ok().and_then(|index| self.files.get(index));
        file.cloned().ok_or_else(|| {
            let count = self.files.len();
            let detail = format!("{count} came with the call, the first is 0");
            Failure::new(ErrorKind::InvalidArgument, Errno::EBADF, format!("descriptor {index}"), detail)
        })
    }
}

/// The name of a control file of the cgroup at an address.
pub(super) fn file_address(address: &str, file: &str) -> String {
    format!("{}/{file}", address.trim_end_matches('/'))
}

/// Puts the name that the call has for its object into a failure. The end of the daemon stays what it is.
pub(super) fn about(subject: impl Into<String>) -> impl FnOnce(Failure) -> Failure {
    move |failure| if failure.kind == ErrorKind::Ending { failure } else { failure.about(subject) }
}

/// The same, for a failure that names nothing of its own.
pub(super) fn or_about(subject: impl Into<String>) -> impl FnOnce(Failure) -> Failure {
    move |failure| {
        let nameless = failure.subject.is_empty() || failure.kind == ErrorKind::Removed;
        if nameless { failure.about(subject) } else { failure }
    }
}

/// A parameter in the range of the kernel's own type.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] outside of it.
pub(super) fn number<T: TryFrom<i64>>(what: &str, value: i64) -> Result<T, Failure> {
    T::try_from(value).map_err(|_| {
        let detail = format!("{value} is out of range");
        Failure::new(ErrorKind::InvalidParameter, Errno::EINVAL, what, detail)
    })
}
