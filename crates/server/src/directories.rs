//! Making, removing and renaming cgroups, and their owners, as a client.

use penfold_core::{
    CgroupId, Engine, Error, ErrorKind, Owner, Result as CoreResult, control_file::FileId, host::Host,
};

use crate::change::{EngineChange, ViewId};
use crate::client::Client;
use crate::confinement::{Reach, must_reach};
use crate::failure::Failure;
use crate::service::Service;

impl Service {
    /// Runs a request on a directory. In the engine of one `penfold run`, only within the client's reach.
    fn request_on<R>(
        &self,
        client: &Client,
        (cgroup, reach): (CgroupId, Reach),
        request: impl FnOnce(&mut Engine, &mut dyn Host) -> CoreResult<R>,
    ) -> Result<R, Failure> {
        let confined = self.confines();
        self.request(|engine, host| {
            if confined {
                must_reach(engine, host, client.caller.task, cgroup, reach)?;
            }
            request(engine, host)
        })
    }

    /// Makes a cgroup. `mode` has the client's umask taken off already.
    ///
    /// # Errors
    /// As [`Engine::mkdir`]; in the engine of one `penfold run` also `EPERM` outside of the client's reach.
    pub fn mkdir(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        parent: CgroupId,
        name: &[u8],
        mode: u32,
    ) -> Result<CgroupId, Failure> {
        let confined = self.confines();
        let cgroup = self.request(|engine, host| {
            // mkdir -p needs EEXIST for a cgroup that exists, also outside of the client's reach
            if confined && !engine.exists(parent, name) {
                must_reach(engine, host, client.caller.task, parent, Reach::SelfOrBelow)?;
            }
            engine.session(host, &client.caller).mkdir(parent, name, mode)
        })?;
        self.announce(origin, EngineChange::Made { parent, cgroup, name: name.to_vec() });
        Ok(cgroup)
    }

    /// Removes a cgroup.
    ///
    /// # Errors
    /// As [`Engine::rmdir`]; in the engine of one `penfold run` also `EPERM` outside of the client's reach.
    pub fn rmdir(&self, client: &Client, origin: Option<ViewId>, cgroup: CgroupId) -> Result<(), Failure> {
        let confined = self.confines();
        let remove = |engine: &mut Engine, host: &mut dyn Host| {
            if confined {
                must_reach(engine, host, client.caller.task, cgroup, Reach::Below)?;
            }
            let place = engine.tree().get(cgroup).map(|node| (node.parent(), node.name().to_vec()));
            engine.session(host, &client.caller).rmdir(cgroup)?;
            Ok(place)
        };
        let place = match self.request(remove) {
            // a fork in flight counts as a member, and may be about to fail: the exact request settles it
            Err(failure) if failure.kind == ErrorKind::Busy => self.request_exact(remove)?,
            removed => removed?,
        };
        let (parent, name) = place.expect("rmdir of a dead id fails");
        let parent = parent.expect("rmdir of a root fails");
        self.announce(origin, EngineChange::Removed { parent, cgroup, name });
        Ok(())
    }

    /// Renames an entry of a directory.
    ///
    /// # Errors
    /// As [`Engine::rename`]; in the engine of one `penfold run` also `EPERM` outside of the client's reach.
    pub fn rename(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        (parent, from): (CgroupId, &[u8]),
        (new_parent, to): (CgroupId, &[u8]),
    ) -> Result<(), Failure> {
        let cgroup = self.request_on(client, (parent, Reach::SelfOrBelow), |engine, _| {
            engine.rename(&client.caller, parent, from, new_parent, to)?;
            Ok(engine.tree().child(parent, to))
        })?;
        if let Some(cgroup) = cgroup.filter(|_| from != to) {
            let (from, to) = (from.to_vec(), to.to_vec());
            self.announce(origin, EngineChange::Renamed { parent, cgroup, from, to });
        }
        Ok(())
    }

    /// Changes owner and mode of a directory, or of one of its control files, and returns the new ones. `change` is
    /// called with the present owner and mode, under the engine's lock.
    ///
    /// # Errors
    /// As [`Engine::set_owner`] and [`Engine::set_file_owner`]; in the engine of one `penfold run` also `EPERM`
    /// outside of the client's reach.
    pub fn set_owner(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        cgroup: CgroupId,
        file: Option<FileId>,
        change: impl FnOnce(Owner) -> Owner,
    ) -> Result<Owner, Failure> {
        let owner = self.request_on(client, (cgroup, Reach::Below), |engine, _| {
            let new = change(owner_of(engine, cgroup, file)?);
            match file {
                None => engine.set_owner(&client.caller, cgroup, new)?,
                Some(file) => engine.set_file_owner(&client.caller, cgroup, file, new)?,
            }
            Ok(new)
        })?;
        self.announce(origin, EngineChange::Owner { cgroup, file });
        Ok(owner)
    }
}

/// Owner and mode of a directory, or of one of its control files.
///
/// # Errors
/// `ENODEV` for a removed cgroup or file.
pub fn owner_of(engine: &Engine, cgroup: CgroupId, file: Option<FileId>) -> CoreResult<Owner> {
    if let Some(file) = file {
        return engine.file_owner(cgroup, file);
    }
    let node = engine.tree().get(cgroup);
    node.map(penfold_core::tree::Cgroup::owner).ok_or(Error::Removed { operation: "stat" })
}
