//! Where a module is that is asked for by its name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::LoadError;

/// The environment variable with directories to look in first, separated by colons.
pub const VARIABLE: &str = "PENFOLD_MODULES";

/// Below the directory that holds `bin`.
const INSTALLED: &str = "lib/penfold/modules";

/// The directories where modules are looked for, in this order: those of [`VARIABLE`], that of the running program (a
/// build that is not installed has its modules there), `../lib/penfold/modules` seen from it,
/// `/usr/local/lib/penfold/modules`, `/usr/lib/penfold/modules`.
pub fn directories() -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    list(std::env::var_os(VARIABLE).as_deref(), program.as_deref().and_then(Path::parent))
}

fn list(variable: Option<&OsStr>, program: Option<&Path>) -> Vec<PathBuf> {
    // an empty or relative entry would mean wherever the caller is, which nobody wants for code
    let given = variable.into_iter().flat_map(std::env::split_paths).filter(|path| path.is_absolute());
    let beside = program.into_iter().flat_map(|directory| {
        let installed = directory.parent().map(|prefix| prefix.join(INSTALLED));
        std::iter::once(directory.to_owned()).chain(installed)
    });
    let system = ["/usr/local", "/usr"].map(|prefix| Path::new(prefix).join(INSTALLED));
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in given.chain(beside).chain(system) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

/// Where the file of a module is: a name with a `/` is a path and stays as it is; any other is looked for, as
/// `libpenfold_NAME.so` and `NAME.so`, in [`directories`]. A `-` of the name may be a `_` in that of the file.
///
/// # Errors
/// [`LoadError::NotFound`], which names the directories.
pub fn find(name_or_path: &str) -> Result<PathBuf, LoadError> {
    if name_or_path.contains('/') {
        return Ok(PathBuf::from(name_or_path));
    }
    find_in(name_or_path, directories())
}

fn find_in(name: &str, directories: Vec<PathBuf>) -> Result<PathBuf, LoadError> {
    let names = [format!("libpenfold_{}.so", name.replace('-', "_")), format!("{name}.so")];
    let found = directories
        .iter()
        .flat_map(|directory| names.iter().map(|name| directory.join(name)))
        .find(|path| path.is_file());
    found.ok_or_else(|| LoadError::NotFound { name: name.to_owned(), names, looked: directories })
}
