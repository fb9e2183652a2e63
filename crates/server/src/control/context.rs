//! The context of one call: the server, the client, and the descriptors that came with the call.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::{Access, CgroupId, Engine, control_file::FileId};

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
    /// The service that the call is for.
    pub(super) fn service(&self) -> &Service {
        &self.server.service
    }

    /// The cgroup at an address.
    ///
    /// # Errors
    /// As [`path::cgroup`].
    pub(super) fn cgroup(&self, address: &str) -> Result<CgroupId, Failure> {
        self.service().with_snapshot(|engine, _| path::cgroup(engine, &self.client.caller, address))?
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
        let caller = &self.client.caller;
        self.service().with_snapshot(|engine, _| {
            let cgroup = path::cgroup(engine, caller, address)?;
            path::must_search(engine, caller, cgroup)?;
            Ok((cgroup, engine.open(caller, cgroup, name, access)?))
        })?
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
        self.service().with_snapshot(|engine, _| {
            let cgroup = path::cgroup(engine, caller, address)?;
            look(engine, caller, cgroup)
        })?
    }

    /// The descriptor with this index among those that came with the call.
    ///
    /// # Errors
    /// `EBADF` if there is no such index.
    pub(super) fn passed(&self, index: i64) -> Result<Arc<OwnedFd>, Failure> {
        let file = usize::try_from(index).ok().and_then(|index| self.files.get(index));
        file.cloned().ok_or_else(|| {
            let count = self.files.len();
            Failure::new(
                Errno::EBADF,
                format!("descriptor {index}: {count} came with the call, the first is 0"),
            )
        })
    }
}

/// A number of a call as the kernel's type of it. `what` names the parameter in the message.
///
/// # Errors
/// `EINVAL` outside of the type's range.
pub(super) fn number<T: TryFrom<i64>>(what: &str, value: i64) -> Result<T, Failure> {
    T::try_from(value).map_err(|_| Failure::new(Errno::EINVAL, format!("{what}: {value} is out of range")))
}
