//! Mounting, remounting and unmounting hierarchies as a client.

use penfold_core::{CgroupId, Mounted};

use crate::change::EngineChange;
use crate::client::Client;
use crate::failure::Failure;
use crate::modules;
use crate::service::Service;

/// Which file system a mount is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filesystem {
    /// `mount -t cgroup`
    Cgroup,
    /// The legacy one: bare names, cpuset only.
    Cpuset,
}

impl Service {
    /// Mounts a hierarchy.
    ///
    /// # Errors
    /// As [`Engine::mount`](penfold_core::Engine::mount) and
    /// [`Engine::mount_cpuset`](penfold_core::Engine::mount_cpuset). For a subsystem that is not loaded and could be, the
    /// message says how.
    pub fn mount(
        &self,
        client: &Client,
        options: impl AsRef<[u8]>,
        filesystem: Filesystem,
    ) -> Result<Mounted, Failure> {
        let mounted = self.request(|engine, host| {
            Ok(match filesystem {
                Filesystem::Cgroup => engine.mount(host, &client.caller, options),
                Filesystem::Cpuset => engine.mount_cpuset(host, &client.caller, options),
            })
        })?;
        let mounted = mounted.map_err(|error| modules::with_remedy(self, error)).map_err(|failure| {
            // without options there is nothing to name
            if failure.subject.is_empty() { failure.about("hierarchy") } else { failure }
        })?;
        self.announce(None, EngineChange::Mounted(mounted.root));
        Ok(mounted)
    }

    /// Changes a hierarchy.
    ///
    /// # Errors
    /// As [`Engine::remount`](penfold_core::Engine::remount), and for what is not loaded as [`Service::mount`].
    pub fn remount(&self, client: &Client, root: CgroupId, options: impl AsRef<[u8]>) -> Result<(), Failure> {
        let remounted =
            self.with_exact(|engine, host| engine.remount(host, &client.caller, root, options))?;
        remounted.map_err(|error| modules::with_remedy(self, error))?;
        self.announce(None, EngineChange::Remounted(root));
        Ok(())
    }

    /// Takes a mount away.
    ///
    /// # Errors
    /// `EPERM` for a client that may not mount either; as [`Engine::unmount`](penfold_core::Engine::unmount).
    pub fn unmount(&self, client: &Client, root: CgroupId) -> Result<(), Failure> {
        self.request(|engine, host| {
            client.caller.must_be_privileged("unmount", "a hierarchy")?;
            engine.unmount(host, root)
        })?;
        self.announce(None, EngineChange::Unmounted(root));
        Ok(())
    }
}
