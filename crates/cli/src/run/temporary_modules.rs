//! Modules that a job wants in another engine: they are loaded and mounted there for it, and that is undone at its end.

use nix::errno::Errno;
use penfold_server::protocol::{
    ListModulesCall, LoadModuleCall, MountCall, SubsystemInfo, SubsystemsCall, UnloadModuleCall, UnmountCall,
};

use super::parent_engine::ParentEngine;
use crate::address::CgroupAddress;
use crate::failure::Failure;
use crate::modules::{Operand, refused};
use crate::remote::Remote;

/// Something to be undone when the job has ended.
#[derive(Debug)]
enum Step {
    Module(String),
    /// The number of the hierarchy.
    Mount(i64),
}

/// Everything, in the order of its doing.
#[derive(Debug, Default)]
pub(super) struct TemporaryModules(Vec<Step>);

impl TemporaryModules {
    /// Loads these modules in the engine, each bound to a hierarchy of which the job gets a cgroup.
    pub(super) fn load(parent: &mut ParentEngine, modules: &[Operand]) -> Result<TemporaryModules, Failure> {
        let mut done = TemporaryModules::default();
        for module in modules {
            if let Err(failure) = done.one(parent, module) {
                done.undo(&mut parent.remote);
                return Err(failure.of(format!("--module {module}")));
            }
        }
        Ok(done)
    }

    fn one(&mut self, parent: &mut ParentEngine, module: &Operand) -> Result<(), Failure> {
        let name = name_of(module)?;
        let hierarchy = match find(&mut parent.remote, &name)? {
            Some(there) => {
                warn_of_another(&mut parent.remote, module, &name)?;
                there.hierarchy
            }
            None if parent.embedded => {
                let message = format!(
                    "the engine of the job around this one has no {name}, and loads nothing while its job runs; give \
                     --module to the penfold run around this one"
                );
                return Err(Failure { errno: Some(Errno::EPERM), ..Failure::new(message) });
            }
            None => {
                let call = LoadModuleCall { module: module.for_daemon() };
                self.0.push(Step::Module(parent.remote.call(&call)?.module.name));
                0
            }
        };
        if hierarchy == 0 {
            let call = MountCall { options: name, filesystem: None };
            let mounted = parent.remote.call(&call)?.hierarchy.id;
            self.0.push(Step::Mount(mounted));
            parent.parents.push(CgroupAddress(format!("{mounted}:/")));
        }
        Ok(())
    }

    /// Undoes it, the last first. What somebody else uses by now stays, with a warning.
    pub(super) fn undo(&mut self, remote: &mut Remote) -> Vec<String> {
        let mut warnings = Vec::new();
        for step in std::mem::take(&mut self.0).into_iter().rev() {
            let done = match step {
                Step::Mount(hierarchy) => {
                    remote.call(&UnmountCall { hierarchy: hierarchy.to_string() }).map(drop)
                }
                Step::Module(name) => remote.call(&UnloadModuleCall { name }).map(drop),
            };
            warnings.extend(done.err().map(|failure| failure.message));
        }
        warnings
    }
}

fn name_of(module: &Operand) -> Result<String, Failure> {
    match module {
        Operand::Name(name) => Ok(name.clone()),
        Operand::Path(path) => Ok(penfold_module::loader::inspect(path).map_err(refused)?.name),
    }
}

fn find(remote: &mut Remote, name: &str) -> Result<Option<SubsystemInfo>, Failure> {
    let all = remote.call(&SubsystemsCall {})?.subsystems;
    Ok(all.into_iter().find(|subsystem| subsystem.name == name))
}

/// A name that is taken there by a module from elsewhere: that is the one that the job gets.
fn warn_of_another(remote: &mut Remote, module: &Operand, name: &str) -> Result<(), Failure> {
    let Operand::Path(path) = module else { return Ok(()) };
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
