//! Mounting, remounting and unmounting hierarchies as a client.

use penfold_core::{CgroupId, Mounted, Owner};
use penfold_linux::proc::in_initial_user_namespace;

use crate::change::EngineChange;
use crate::client::Client;
use crate::failure::Failure;
use crate::modules;
use crate::service::Service;

/// The file system type of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filesystem {
    /// `mount -t cgroup`
    Cgroup,
    /// `mount -t cpuset`, the legacy type: the `cpuset` subsystem alone, file names without prefix.
    Cpuset,
}

impl Service {
    /// Mounts a hierarchy.
    ///
    /// # Errors
    /// As [`Engine::mount`](penfold_core::Engine::mount) and
    /// [`Engine::mount_cpuset`](penfold_core::Engine::mount_cpuset). If a module has the missing subsystem, the
    /// message says how to load it.
    pub fn mount(
        &self,
        client: &Client,
        options: impl AsRef<[u8]>,
        filesystem: Filesystem,
    ) -> Result<Mounted, Failure> {
        let mounted = self.request(|engine, host| {
            Ok(match filesystem {
                Filesystem::Cgroup => engine.session(host, &client.caller).mount(options),
                Filesystem::Cpuset => engine.session(host, &client.caller).mount_cpuset(options),
            })
        })?;
        let mounted = mounted.map_err(|error| modules::with_remedy(self, error)).map_err(|failure| {
            // without options there is nothing to name
            if failure.subject.is_empty() { failure.about("hierarchy") } else { failure }
        })?;
        self.announce(None, EngineChange::Mounted(mounted.root));
        if mounted.created && client.caller.uid == 0 && !in_initial_user_namespace() {
            // root here may be a user outside who mounts there, without a capability to do without permission (L95)
            let writable = |owner: Owner| Owner { mode: owner.mode | 0o200, ..owner };
            self.set_owner(&Client::own(), None, mounted.root, None, writable)?;
        }
        Ok(mounted)
    }

    /// Changes the subsystems or the release agent of the hierarchy with this root.
    ///
    /// # Errors
    /// As [`Engine::remount`](penfold_core::Engine::remount). For a subsystem that is not loaded, as
    /// [`Service::mount`].
    pub fn remount(&self, client: &Client, root: CgroupId, options: impl AsRef<[u8]>) -> Result<(), Failure> {
        let remounted =
            self.with_exact(|engine, host| engine.session(host, &client.caller).remount(root, options))?;
        remounted.map_err(|error| modules::with_remedy(self, error))?;
        self.announce(None, EngineChange::Remounted(root));
        Ok(())
    }

    /// Takes one mount of the hierarchy with this root away.
    ///
    /// # Errors
    /// `EPERM` for a client without privilege; as [`Engine::unmount`](penfold_core::Engine::unmount).
    pub fn unmount(&self, client: &Client, root: CgroupId) -> Result<(), Failure> {
        self.request(|engine, host| {
            client.caller.must_be_privileged("unmount", "a hierarchy")?;
            engine.unmount(host, root)
        })?;
        self.announce(None, EngineChange::Unmounted(root));
        Ok(())
    }
}
