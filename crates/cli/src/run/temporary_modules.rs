//! Modules that a job needs in another engine: loaded and mounted there for the job, and unloaded at its end.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_server::protocol::{
    ListModulesCall, LoadModuleCall, MountCall, SubsystemInfo, SubsystemsCall, UnloadModuleCall, UnmountCall,
};

use super::parent_engine::ParentEngine;
use crate::address::CgroupAddress;
use crate::engine_connection::EngineConnection;
use crate::failure::Failure;
use crate::modules::ModuleOperand;

/// A step to be undone when the job has ended.
#[derive(Debug)]
enum UndoStep {
    Module(String),
    /// The number of the hierarchy.
    Mount(i64),
}

/// The steps that were taken, in their order.
#[derive(Debug, Default)]
pub(super) struct TemporaryModules(Vec<UndoStep>);

impl TemporaryModules {
    /// Loads the modules in the engine and binds each to a hierarchy, in which the job gets a cgroup.
    ///
    /// A failure undoes all steps.
    pub(super) fn load(
        parent: &mut ParentEngine,
        modules: &[ModuleOperand],
    ) -> Result<TemporaryModules, Failure> {
        let mut done = TemporaryModules::default();
        for module in modules {
            if let Err(failure) = done.load_one(parent, module) {
                done.undo(&mut parent.remote);
                return Err(failure);
            }
        }
        Ok(done)
    }

    fn load_one(&mut self, parent: &mut ParentEngine, module: &ModuleOperand) -> Result<(), Failure> {
        let name = name_of(module)?;
        let hierarchy = match find(&mut parent.remote, &name)? {
            Some(there) => {
                warn_of_other_module(&mut parent.remote, module, &name)?;
                there.hierarchy
            }
            None if parent.embedded => {
                let detail = "not in the engine of the job around this one, which loads nothing while its job runs; \
                              name the module to the outer penfold run";
                let subject = format!("--module {module}");
                return Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, subject, detail));
            }
            None => {
                let call = LoadModuleCall { module: module.for_daemon() };
                self.0.push(UndoStep::Module(parent.remote.call(&call)?.module.name));
                0
            }
        };
        if hierarchy == 0 {
            let call = MountCall { options: name, filesystem: None };
            let mounted = parent.remote.call(&call)?.hierarchy.id;
            self.0.push(UndoStep::Mount(mounted));
            parent.parents.push(CgroupAddress(format!("{mounted}:/")));
        }
        Ok(())
    }

    /// Undoes the steps, the last first. Returns a warning for each module or mount that another client uses by now.
    pub(super) fn undo(&mut self, remote: &mut EngineConnection) -> Vec<String> {
        let mut warnings = Vec::new();
        for step in std::mem::take(&mut self.0).into_iter().rev() {
            let done = match step {
                UndoStep::Mount(hierarchy) => {
                    remote.call(&UnmountCall { hierarchy: hierarchy.to_string() }).map(drop)
                }
                UndoStep::Module(name) => remote.call(&UnloadModuleCall { name }).map(drop),
            };
            warnings.extend(done.err().map(|failure| failure.line()));
        }
        warnings
    }
}

fn name_of(module: &ModuleOperand) -> Result<String, Failure> {
    match module {
        ModuleOperand::Name(name) => Ok(name.clone()),
        ModuleOperand::Path(path) => Ok(penfold_module::loader::inspect(path)?.name),
    }
}

fn find(remote: &mut EngineConnection, name: &str) -> Result<Option<SubsystemInfo>, Failure> {
    let all = remote.call(&SubsystemsCall {})?.subsystems;
    Ok(all.into_iter().find(|subsystem| subsystem.name == name))
}

/// Warns if the engine has a module of this name from another file, since the job gets that one.
fn warn_of_other_module(
    remote: &mut EngineConnection,
    module: &ModuleOperand,
    name: &str,
) -> Result<(), Failure> {
    let ModuleOperand::Path(path) = module else { return Ok(()) };
    let there = remote.call(&ListModulesCall {})?.modules.into_iter().find(|module| module.name == name);
    let there = there.map_or_else(|| "compiled in".to_owned(), |module| module.path);
    let same = path.canonicalize().is_ok_and(|path| path.to_string_lossy() == there);
    if !same {
        eprintln!(
            "penfold: warning: --module {module}: {name} is there already ({there}), and is used as it is"
        );
    }
    Ok(())
}
