//! `-s FILE=VALUE`: settings of control files.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;
use penfold_core::{Caller, CgroupId, Engine, ErrorKind, host::Host};

use crate::failure::Failure;

/// One `-s FILE=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) file: String,
    pub(crate) value: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.file, self.value)
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        match text.split_once('=') {
            Some((file, value)) if !file.is_empty() => {
                Ok(Setting { file: file.to_owned(), value: value.to_owned() })
            }
            _ => Err("give a control file and a value, such as pids.max=64".to_owned()),
        }
    }
}

/// Writes a setting into the job's cgroup, or into the root if only the root has the file.
///
/// `cgroups` are the job's cgroup and the root. A failure is about the setting as it was typed.
pub(crate) fn apply(
    engine: &mut Engine,
    host: &mut dyn Host,
    caller: &Caller,
    cgroups: [CgroupId; 2],
    setting: &Setting,
) -> Result<(), Failure> {
    let found =
        cgroups.into_iter().find_map(|cgroup| Some((cgroup, engine.find_file(cgroup, &setting.file)?)));
    let Some((cgroup, file)) = found else { return Err(unknown(engine, cgroups, setting)) };
    // The newline makes a write of an empty value too, as `echo VALUE > FILE` does.
    let line = format!("{}\n", setting.value);
    let written = engine.session(host, caller).write(cgroup, file, line.as_bytes());
    written.map_err(|error| Failure::from(error).about(format!("-s {setting}")))
}

fn unknown(engine: &Engine, cgroups: [CgroupId; 2], setting: &Setting) -> Failure {
    let files = cgroups.iter().flat_map(|&cgroup| engine.files(cgroup).unwrap_or_default());
    let writable = files.filter(|file| file.owner.mode & 0o222 != 0).map(|file| file.name);
    no_such_file(setting, writable.collect(), "")
}

/// The failure of a setting whose file does not exist. It lists the writable files of the same controller, or of all
/// controllers if that one does not exist. `remedy` comes after that.
pub(crate) fn no_such_file(setting: &Setting, mut writable: Vec<String>, remedy: &str) -> Failure {
    writable.sort_unstable();
    writable.dedup();
    let name = &setting.file;
    let controller = name.split_once('.').map_or(name.as_str(), |(controller, _)| controller);
    let same: Vec<String> =
        writable.iter().filter(|choice| choice.starts_with(&format!("{controller}."))).cloned().collect();
    let shown = if same.is_empty() { writable } else { same };
    let detail = format!("no such control file; there are {}{remedy}", shown.join(", "));
    Failure::new(ErrorKind::NotFound, Errno::ENOENT, format!("-s {name}"), detail)
}
