//! Modules on this side of the socket: what the user means by one, and loading them into an engine of our own.

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
pub(crate) enum Operand {
    /// Made absolute: whoever opens it may be elsewhere.
    Path(PathBuf),
    Name(String),
}

impl Operand {
    /// Takes an argument.
    pub(crate) fn parser() -> impl clap::builder::TypedValueParser<Value = Operand> {
        use clap::builder::TypedValueParser;
        clap::builder::OsStringValueParser::new().try_map(|text: OsString| Operand::of(text))
    }

    fn of(text: OsString) -> Result<Operand, String> {
        match text.to_str() {
            Some("") => Err("give the name or the path of a module".to_owned()),
            Some(name) if !name.contains(['/', '.']) => Ok(Operand::Name(name.to_owned())),
            _ => std::path::absolute(&text).map(Operand::Path).map_err(|error| error.to_string()),
        }
    }

    /// Where the file is, by the search path of this process.
    pub(crate) fn find(&self) -> Result<PathBuf, Failure> {
        match self {
            Operand::Path(path) => Ok(path.clone()),
            Operand::Name(name) => search::find(name).map_err(refused),
        }
    }

    /// How a daemon is to be told of it. A name it looks for itself, but for the directories that this user has named.
    pub(crate) fn for_daemon(&self) -> String {
        let path = match self {
            Operand::Path(path) => path.clone(),
            Operand::Name(name) => match search::find_in(name, search::given()) {
                Ok(path) => path,
                Err(_) => return name.clone(),
            },
        };
        escape(path.as_os_str().as_encoded_bytes())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Path(path) => path.display().fmt(f),
            Operand::Name(name) => name.fmt(f),
        }
    }
}

/// What the loader says, with the errno's name as the daemon would.
pub(crate) fn refused(error: penfold_module::loader::LoadError) -> Failure {
    Failure::new(format!("{error} [{}]", error.errno().name()))
}

/// A module that this user may load, because nobody else can change its file, and its description.
pub(crate) fn trusted(path: &Path) -> Result<(ModuleFile, ModuleDescription), Failure> {
    let file = ModuleFile::read_trusted(path, geteuid().as_raw()).map_err(refused)?;
    let info = file.description().map_err(refused)?;
    Ok((file, info))
}

/// Loads the modules of a `penfold run` into its engine: those that it names, and those that its settings are of and
/// that are neither compiled in nor named, if they are on the search path. Nothing else could have loaded those.
pub(crate) fn load(
    engine: &mut Engine,
    host: &mut dyn Host,
    named: &[Operand],
    settings: &[Setting],
) -> Result<(), Failure> {
    for operand in named {
        match operand {
            // built in or a module: to who asks for it by name it is the same
            Operand::Name(name) if is_there(engine, name) => {}
            _ => load_one(engine, host, &operand.find()?).map_err(|failure| failure.of("--module"))?,
        }
    }
    for setting in settings {
        let Some(name) = controller_of(setting).filter(|name| !is_there(engine, name)) else { continue };
        if let Ok(path) = search::find(name) {
            load_one(engine, host, &path).map_err(|failure| failure.of(format!("-s {setting}")))?;
        }
    }
    Ok(())
}

/// The controller that a setting's file is of, if it can be one that is loaded.
pub(crate) fn controller_of(setting: &Setting) -> Option<&str> {
    let (controller, _) = setting.file.split_once('.')?;
    // cgroup.procs and the like are of every cgroup
    Some(controller).filter(|name| *name != "cgroup")
}

fn is_there(engine: &Engine, name: &str) -> bool {
    engine.hierarchy_of_subsystem(name).is_some()
}

fn load_one(engine: &mut Engine, host: &mut dyn Host, path: &Path) -> Result<(), Failure> {
    tell_what_modules_say(std::io::stderr);
    let (file, info) = trusted(path)?;
    let path = file.path().to_owned();
    if is_there(engine, &info.name) {
        let name = &info.name;
        return Err(Failure::new(format!(
            "{}: a controller of the name {name:?} is there already [EEXIST]",
            path.display()
        )));
    }
    let controller = Controller::load(file).map_err(refused)?;
    let loaded = engine.load(host, controller);
    loaded.map_err(|error| Failure::new(format!("{}: {error} [{}]", path.display(), error.errno().name())))
}

/// What modules log, and what is said of those that are slow or fail, goes here.
pub(crate) fn tell_what_modules_say<W: Write + 'static>(out: fn() -> W) {
    penfold_server::logging::start_plain(tracing::level_filters::LevelFilter::INFO, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_a_name_is_a_path() {
        let of = |text: &str| Operand::of(text.into()).expect("an operand");
        assert_eq!(of("net_cls"), Operand::Name("net_cls".to_owned()));
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(of("net_cls.so"), Operand::Path(here.join("net_cls.so")));
        assert_eq!(of("./a/b"), Operand::Path(here.join("a/b")));
        assert_eq!(of("/a/b.so").for_daemon(), "/a/b.so");
        assert!(Operand::of("".into()).is_err());
    }

    #[test]
    fn a_setting_is_of_a_controller_that_could_be_loaded() {
        let of = |text: &str| controller_of(&text.parse().expect("a setting")).map(str::to_owned);
        assert_eq!(of("net_cls.classid=1").as_deref(), Some("net_cls"));
        assert_eq!(of("cgroup.clone_children=1"), None);
        assert_eq!(of("notify_on_release=1"), None);
    }
}
