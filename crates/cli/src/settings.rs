//! `-s FILE=VALUE`: settings of control files.

use std::fmt;
use std::str::FromStr;

use penfold_core::{Caller, CgroupId, Engine, Error, host::Host};

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
/// `cgroups` are the job's cgroup and the root. The error is a message for the user: there is no such file, or the
/// engine refused the value.
pub(crate) fn apply(
    engine: &mut Engine,
    host: &mut dyn Host,
    caller: &Caller,
    cgroups: [CgroupId; 2],
    setting: &Setting,
) -> Result<(), String> {
    let found =
        cgroups.into_iter().find_map(|cgroup| Some((cgroup, engine.find_file(cgroup, &setting.file)?)));
    let Some((cgroup, file)) = found else { return Err(unknown(engine, cgroups, &setting.file)) };
    // The newline makes a write of an empty value too, as `echo VALUE > FILE` does.
    let line = format!("{}\n", setting.value);
    let written = engine.session(host, caller).write(cgroup, file, line.as_bytes());
    written.map_err(|error| refused(&error, setting))
}

fn refused(error: &Error, setting: &Setting) -> String {
    format!("-s {}={}: {error} [{}]", setting.file, setting.value, error.errno().name())
}

/// The message for a file that does not exist. It lists the writable files of the same controller, or of all
/// controllers if that one does not exist.
fn unknown(engine: &Engine, cgroups: [CgroupId; 2], name: &str) -> String {
    let mut choices: Vec<String> = cgroups
        .iter()
        .flat_map(|&cgroup| engine.files(cgroup).unwrap_or_default())
        .filter(|file| file.owner.mode & 0o222 != 0)
        .map(|file| file.name)
        .collect();
    choices.sort_unstable();
    choices.dedup();
    let controller = name.split_once('.').map_or(name, |(controller, _)| controller);
    let same: Vec<String> =
        choices.iter().filter(|choice| choice.starts_with(&format!("{controller}."))).cloned().collect();
    let shown = if same.is_empty() { choices } else { same };
    format!("-s {name}: no such control file; there are {}", shown.join(", "))
}
