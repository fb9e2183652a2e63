//! Modules on the client's side of the socket: how a user names one, and how an engine of this process loads one.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use penfold_core::{Engine, host::Host};
use penfold_module::loader::{Controller, ModuleDescription, ModuleFile, search};
use penfold_server::escape::escape;

use crate::failure::Failure;
use crate::settings::Setting;

/// A module as the user names it: by a path, which has a `/` or a `.`, or by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModuleOperand {
    /// Absolute, since the process that opens the file may have another working directory.
    Path(PathBuf),
    Name(String),
}

impl ModuleOperand {
    /// The parser of an argument that is a module.
    pub(crate) fn parser() -> impl clap::builder::TypedValueParser<Value = ModuleOperand> {
        use clap::builder::TypedValueParser;
        clap::builder::OsStringValueParser::new().try_map(|text: OsString| ModuleOperand::of(text))
    }

    fn of(text: OsString) -> Result<ModuleOperand, String> {
        match text.to_str() {
            Some("") => Err("give the name or the path of a module".to_owned()),
            Some(name) if !name.contains(['/', '.']) => Ok(ModuleOperand::Name(name.to_owned())),
            _ => std::path::absolute(&text)
                .map(ModuleOperand::Path)
                .map_err(|error| Failure::io("", error).detail),
        }
    }

    /// The path of the module's file. A name is searched for on the search path of this process.
    pub(crate) fn find(&self) -> Result<PathBuf, Failure> {
        match self {
            ModuleOperand::Path(path) => Ok(path.clone()),
            ModuleOperand::Name(name) => Ok(search::find(name)?),
        }
    }

    /// The module as a daemon takes it: a path, or a name for which the daemon searches itself.
    ///
    /// A name in a directory of this process's `PENFOLD_MODULES` becomes a path, since the daemon doesn't know those.
    pub(crate) fn for_daemon(&self) -> String {
        let path = match self {
            ModuleOperand::Path(path) => path.clone(),
            ModuleOperand::Name(name) => match search::find_in(name, search::given()) {
                Ok(path) => path,
                Err(_) => return name.clone(),
            },
        };
        escape(path.as_os_str().as_encoded_bytes())
    }
}

impl fmt::Display for ModuleOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleOperand::Path(path) => path.display().fmt(f),
            ModuleOperand::Name(name) => name.fmt(f),
        }
    }
}

/// Reads a module that this user may load, since no other user can change its file. Returns its description too.
pub(crate) fn trusted(path: &Path) -> Result<(ModuleFile, ModuleDescription), Failure> {
    let file = ModuleFile::read_trusted(path, geteuid().as_raw())?;
    let info = file.description()?;
    Ok((file, info))
}

/// Loads the modules of a `penfold run` into its engine.
///
/// These are the `named` modules, and those on the search path that have a file of the `settings`. The latter are
/// loaded without being named, since in a new engine nothing else could have loaded them. A controller that is compiled
/// in, or loaded already, is not loaded again.
pub(crate) fn load(
    engine: &mut Engine,
    host: &mut dyn Host,
    named: &[ModuleOperand],
    settings: &[Setting],
) -> Result<(), Failure> {
    for operand in named {
        match operand {
            // a name stands for a compiled-in controller as well
            ModuleOperand::Name(name) if has_subsystem(engine, name) => {}
            _ => load_one(engine, host, &operand.find()?)?,
        }
    }
    for setting in settings {
        let Some(name) = controller_of(setting).filter(|name| !has_subsystem(engine, name)) else { continue };
        if let Ok(path) = search::find(name) {
            load_one(engine, host, &path)?;
        }
    }
    Ok(())
}

/// The controller of a setting's file; `None` for a file that every cgroup has.
pub(crate) fn controller_of(setting: &Setting) -> Option<&str> {
    let (controller, _) = setting.file.split_once('.')?;
    // every cgroup has cgroup.procs and the like
    Some(controller).filter(|name| *name != "cgroup")
}

fn has_subsystem(engine: &Engine, name: &str) -> bool {
    engine.hierarchy_of_subsystem(name).is_some()
}

fn load_one(engine: &mut Engine, host: &mut dyn Host, path: &Path) -> Result<(), Failure> {
    log_modules_to(std::io::stderr);
    let (file, info) = trusted(path)?;
    let path = file.path().to_owned();
    if has_subsystem(engine, &info.name) {
        let name = &info.name;
        let detail = format!("a controller of the name {name:?} is there already");
        return Err(Failure::new(ErrorKind::AlreadyExists, Errno::EEXIST, path.to_string_lossy(), detail));
    }
    let controller = Controller::load(file)?;
    let loaded = engine.load(host, controller);
    loaded.map_err(|error| Failure::from(error).about(path.to_string_lossy()))
}

/// Sends to `out` the log of modules, and the loader's messages about modules that are slow or fail.
pub(crate) fn log_modules_to<W: Write + 'static>(out: fn() -> W) {
    penfold_server::logging::start_plain(tracing::level_filters::LevelFilter::INFO, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operand_that_is_no_name_is_a_path() {
        let of = |text: &str| ModuleOperand::of(text.into()).expect("an operand");
        assert_eq!(of("net_cls"), ModuleOperand::Name("net_cls".to_owned()));
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(of("net_cls.so"), ModuleOperand::Path(here.join("net_cls.so")));
        assert_eq!(of("./a/b"), ModuleOperand::Path(here.join("a/b")));
        assert_eq!(of("/a/b.so").for_daemon(), "/a/b.so");
        assert!(ModuleOperand::of("".into()).is_err());
    }

    #[test]
    fn setting_names_the_controller_to_load() {
        let of = |text: &str| controller_of(&text.parse().expect("a setting")).map(str::to_owned);
        assert_eq!(of("net_cls.classid=1").as_deref(), Some("net_cls"));
        assert_eq!(of("cgroup.clone_children=1"), None);
        assert_eq!(of("notify_on_release=1"), None);
    }
}
