//! Subsystems that are loaded from files while everything runs.
//!
//! The engine treats a module as a subsystem like any other. This file keeps the origin of each module. The code of a
//! module runs in the daemon with all rights of the daemon. So only the daemon's owner may load a module, and only
//! from a file that no other user could have written.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::{CgroupId, Engine, Error, ErrorKind};
use penfold_module::loader::{self, Controller, ModuleDescription, ModuleFile, inspect, search};

use crate::change::EngineChange;
use crate::client::{Client, Trust};
use crate::describe::describe;
use crate::failure::Failure;
use crate::module_registry::{RegisteredModule, lock};
use crate::protocol;
use crate::service::Service;

impl Service {
    /// Loads a module as a client. [`search`] finds the file of a name without a `/`.
    ///
    /// # Errors
    /// - `EPERM` for a client that is not the daemon's owner, and for a file that another user could change;
    /// - `EINVAL` for a relative path;
    /// - as [`search::find`], [`ModuleFile::description`], [`Controller::load`] and [`Engine::load`].
    ///
    /// On failure nothing has changed.
    pub fn load_module(&self, client: &Client, name_or_path: &Path) -> Result<protocol::ModuleInfo, Failure> {
        self.must_own(client)?;
        let is_path = name_or_path.as_os_str().as_encoded_bytes().contains(&b'/');
        let path = match name_or_path.to_str() {
            Some(name) if !is_path => search::find(name)?,
            _ if name_or_path.is_absolute() => name_or_path.to_owned(),
            _ => {
                let shown = name_or_path.to_string_lossy();
                let detail = "a relative path means nothing to a daemon; give an absolute one";
                return Err(Failure::new(ErrorKind::InvalidArgument, Errno::EINVAL, shown, detail));
            }
        };
        self.load_file(&path)
    }

    /// Loads a module for the daemon itself, without a check of any client, and returns its description.
    ///
    /// `penfold serve --load` and the restoration from the journal call this. A relative path counts from the working
    /// directory of this process.
    ///
    /// # Errors
    /// - `EPERM` if a user other than root and the user of this process could change the file, and for a disabled
    ///   controller;
    /// - `EEXIST` if a subsystem of the module's name is loaded or built in;
    /// - `ENOENT` if a client has unloaded the module before this returns;
    /// - `ESHUTDOWN` when the daemon is ending;
    /// - as [`ModuleFile::read_trusted`], [`ModuleFile::description`], [`Controller::load`] and [`Engine::load`].
    ///
    /// On failure the module is not loaded.
    pub fn load_file(&self, path: &Path) -> Result<protocol::ModuleInfo, Failure> {
        let file = ModuleFile::read_trusted(path, geteuid().as_raw())?;
        let path = file.path().to_owned();
        // every refusal that needs no code of the module comes before its code runs
        let info = file.description()?;
        let registry = self.modules();
        let turn = lock(&registry.turn);
        self.must_be_enabled(&info.name)?;
        self.must_be_free(&info.name, &path)?;
        let controller = Controller::load(file)?;
        let (info, overruns) = (controller.description().clone(), controller.overruns());
        self.request_exact(move |engine, host| engine.load(host, controller))?;
        let (name, version) = (info.name.clone(), info.version.clone());
        lock(&registry.loaded).push(RegisteredModule {
            info,
            path: path.clone(),
            overruns: Box::new(overruns),
        });
        self.announce(None, EngineChange::Loaded(name.clone()));
        drop(turn);
        tracing::info!(module = name, version, "loaded {}", path.display());
        let all = self.list_modules()?.into_iter();
        all.rev().find(|module| module.name == name).ok_or_else(|| {
            let detail = "loaded, and unloaded again by another client";
            Failure::new(ErrorKind::NotFound, Errno::ENOENT, name, detail)
        })
    }

    /// Unloads a module as a client.
    ///
    /// # Errors
    /// `EPERM` for a client that is not the daemon's owner; `ENOENT` if no module of that name is loaded; as
    /// [`Engine::unload`].
    pub fn unload_module(&self, client: &Client, name: &str) -> Result<(), Failure> {
        self.must_own(client)?;
        let registry = self.modules();
        let turn = lock(&registry.turn);
        let is_there = lock(&registry.loaded).iter().any(|module| module.info.name == name);
        if !is_there {
            let is_subsystem =
                self.with_snapshot(|engine, _| engine.hierarchy_of_subsystem(name).is_some())?;
            let why = if is_subsystem {
                "compiled in, so it can't be unloaded"
            } else {
                "no such module is loaded"
            };
            return Err(Failure::new(ErrorKind::NotFound, Errno::ENOENT, name, why));
        }
        self.request_exact(|engine, host| engine.unload(host, name))?;
        lock(&registry.loaded).retain(|module| module.info.name != name);
        self.announce(None, EngineChange::Unloaded(name.to_owned()));
        drop(turn);
        tracing::info!(module = name, "unloaded");
        Ok(())
    }

    /// The loaded modules, in the order of their loading.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the daemon is ending.
    pub fn list_modules(&self) -> Result<Vec<protocol::ModuleInfo>, Failure> {
        // Lock order: the list, then the engine. A load or unload takes the list only for a moment, and not under the
        // engine.
        let loaded = lock(&self.modules().loaded);
        self.with_snapshot(|engine, _| loaded.iter().filter_map(|module| shown(engine, module)).collect())
    }

    /// Names and files of the loaded modules, for the journal.
    pub(crate) fn module_files(&self) -> Vec<(String, PathBuf)> {
        let loaded = lock(&self.modules().loaded);
        loaded.iter().map(|module| (module.info.name.clone(), module.path.clone())).collect()
    }

    /// Checks that this client may load and unload modules.
    ///
    /// # Errors
    /// `EPERM` for a client that is not the daemon's owner, and for every client of one `penfold run`.
    pub(crate) fn must_own(&self, client: &Client) -> Result<(), Failure> {
        let (errno, kind) = (Errno::EPERM, ErrorKind::NotPermitted);
        Err(match self.trust() {
            Trust::Owner(owner) if client.caller.uid == owner && client.caller.privileged => return Ok(()),
            Trust::Owner(owner) => {
                let capabilities = if owner == 0 { ", with its capabilities" } else { "" };
                let detail = format!(
                    "only the daemon's owner (uid {owner}{capabilities}) loads and unloads modules; this is uid {}",
                    client.caller.uid
                );
                Failure::new(kind, errno, "module", detail)
            }
            Trust::Nobody => Failure::new(
                kind,
                errno,
                "the engine of one penfold run",
                "loads the modules of its --module before the command, and none later",
            ),
        })
    }

    fn must_be_free(&self, name: &str, path: &Path) -> Result<(), Failure> {
        if self.with_snapshot(|engine, _| engine.hierarchy_of_subsystem(name).is_none())? {
            return Ok(());
        }
        let from = self.module_files().into_iter().find(|(other, _)| other == name);
        let from = match from {
            None => "is compiled in".to_owned(),
            Some((_, other)) if other == path => "is loaded from this file; unload it first".to_owned(),
            Some((_, other)) => format!("is loaded from {}; unload it first", other.display()),
        };
        let detail = format!("a controller of the name {name:?} {from}");
        Err(Failure::new(ErrorKind::AlreadyExists, Errno::EEXIST, path.to_string_lossy(), detail))
    }
}

/// The modules that were unloaded but stay mapped, in the order of their unloading.
pub(crate) fn still_mapped() -> Vec<protocol::StillMappedInfo> {
    let shown = |one: loader::LingeringModule| protocol::StillMappedInfo {
        name: one.name,
        path: crate::escape::escape(one.path.as_os_str().as_encoded_bytes()),
        reason: one.reason.to_owned(),
    };
    loader::still_mapped().into_iter().map(shown).collect()
}

/// A module as replies show it; `None` if it is being unloaded at this moment.
fn shown(engine: &Engine, module: &RegisteredModule) -> Option<protocol::ModuleInfo> {
    let id = engine.hierarchy_of_subsystem(&module.info.name)?;
    let root = engine.tree().hierarchies().find(|one| id != 0 && one.id == id).map(|one| one.root);
    let root: Option<CgroupId> = root;
    let hierarchy = root.map(|root| describe(engine, root));
    let holder = hierarchy.as_ref().map(|hierarchy| {
        let label =
            if hierarchy.name.is_empty() { hierarchy.subsystems.join(",") } else { hierarchy.name.clone() };
        let how = match (hierarchy.mounts, hierarchy.cgroups - 1) {
            (0, 1) => "not mounted, with 1 cgroup below its root".to_owned(),
            (0, below) => format!("not mounted, with {below} cgroups below its root"),
            (1, _) => "mounted once".to_owned(),
            (mounts, _) => format!("mounted {mounts} times"),
        };
        format!("hierarchy {} ({label}), {how}", hierarchy.id)
    });
    Some(protocol::ModuleInfo {
        name: module.info.name.clone(),
        version: module.info.version.clone(),
        summary: module.info.summary.clone(),
        path: crate::escape::escape(module.path.as_os_str().as_encoded_bytes()),
        references: i64::from(hierarchy.is_some()),
        hierarchy,
        holder,
        overruns: (module.overruns)() as i64,
    })
}

/// The failure of a mount. If a module has the subsystem that is missing, the message says how to load it. The errno
/// stays `EINVAL`: scripts depend on it.
pub(crate) fn with_remedy(service: &Service, error: Error) -> Failure {
    let remedy = match &error {
        Error::MountOption { option, errno: penfold_core::Errno::EINVAL, .. } => remedy(service, option),
        _ => None,
    };
    let mut failure = Failure::from(error);
    failure.detail.extend(remedy);
    failure
}

fn remedy(service: &Service, subsystem: &str) -> Option<String> {
    if service.is_disabled(subsystem) {
        return Some("; --disable of the daemon has disabled the controller of this name".to_owned());
    }
    let could_be = subsystem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !could_be || service.trust() == Trust::Nobody {
        return None;
    }
    let path = search::find(subsystem).ok()?;
    let is_it = inspect(&path).is_ok_and(|info: ModuleDescription| info.name == subsystem);
    is_it.then(|| format!("; a module of this name is {}, which `penfold module load` loads", path.display()))
}
