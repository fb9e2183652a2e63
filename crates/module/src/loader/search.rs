//! Finds the file of a module by the module's name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::LoadError;

/// The environment variable with the directories to search first, separated by colons.
pub const VARIABLE: &str = "PENFOLD_MODULES";

/// The directory of modules, relative to the directory that holds `bin`.
const INSTALLED: &str = "lib/penfold/modules";

/// The directories that are searched for modules, in this order:
///
/// 1. the directories in [`VARIABLE`];
/// 2. the directory of the running program, where a build that is not installed has its modules;
/// 3. `../lib/penfold/modules`, relative to that directory;
/// 4. `/usr/local/lib/penfold/modules` and `/usr/lib/penfold/modules`.
pub fn directories() -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    list(std::env::var_os(VARIABLE).as_deref(), program.as_deref().and_then(Path::parent))
}

/// The directories that the user has named in [`VARIABLE`].
pub fn given() -> Vec<PathBuf> {
    given_in(std::env::var_os(VARIABLE).as_deref()).collect()
}

fn given_in(variable: Option<&OsStr>) -> impl Iterator<Item = PathBuf> {
    // an empty or relative entry would mean the working directory, which is no place to load code from
    variable.into_iter().flat_map(std::env::split_paths).filter(|path| path.is_absolute())
}

fn list(variable: Option<&OsStr>, program: Option<&Path>) -> Vec<PathBuf> {
    let beside = program.into_iter().flat_map(|directory| {
        let installed = directory.parent().map(|prefix| prefix.join(INSTALLED));
        std::iter::once(directory.to_owned()).chain(installed)
    });
    let system = ["/usr/local", "/usr"].map(|prefix| Path::new(prefix).join(INSTALLED));
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in given_in(variable).chain(beside).chain(system) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

/// The path of a module's file. A name with a `/` is a path already, and is returned unchanged.
///
/// Any other name is searched in [`directories`], as `libpenfold_NAME.so` and then as `NAME.so`. In the first form a
/// `-` of the name is a `_`.
///
/// # Errors
/// [`LoadError::NotFound`], which names the directories.
pub fn find(name_or_path: &str) -> Result<PathBuf, LoadError> {
    if name_or_path.contains('/') {
        return Ok(PathBuf::from(name_or_path));
    }
    find_in(name_or_path, directories())
}

/// Searches a name as [`find`] does, but in these directories only.
///
/// # Errors
/// [`LoadError::NotFound`].
pub fn find_in(name: &str, directories: Vec<PathBuf>) -> Result<PathBuf, LoadError> {
    let names = [format!("libpenfold_{}.so", name.replace('-', "_")), format!("{name}.so")];
    let found = directories
        .iter()
        .flat_map(|directory| names.iter().map(|name| directory.join(name)))
        .find(|path| path.is_file());
    found.ok_or_else(|| LoadError::NotFound { name: name.to_owned(), names, looked: directories })
}

#[cfg(test)]
mod tests {
    use penfold_testkit::TempDir;

    use super::*;

    #[test]
    fn directories_of_the_user_come_before_those_of_the_system() {
        let of = |variable: &str, program: &str| {
            let list = list(Some(OsStr::new(variable)), Some(Path::new(program)));
            list.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            of("/a::b:/c:/a", "/opt/bin"),
            "/a /c /opt/bin /opt/lib/penfold/modules /usr/local/lib/penfold/modules /usr/lib/penfold/modules"
        );
        assert_eq!(of("", "/usr/bin"), "/usr/bin /usr/lib/penfold/modules /usr/local/lib/penfold/modules");
    }

    #[test]
    fn name_is_found_in_the_first_directory_that_has_it() {
        let directory = TempDir::new();
        let [first, second] = ["first", "second"].map(|name| directory.join(name));
        for directory in [&first, &second] {
            std::fs::create_dir(directory).expect("a directory");
        }
        let both = || vec![first.clone(), second.clone()];
        std::fs::write(second.join("libpenfold_a_b.so"), "").expect("a file");
        assert_eq!(find_in("a-b", both()).expect("found"), second.join("libpenfold_a_b.so"));
        std::fs::write(first.join("a-b.so"), "").expect("a file");
        assert_eq!(find_in("a-b", both()).expect("found"), first.join("a-b.so"));
        // a directory is no module
        std::fs::create_dir(first.join("c.so")).expect("a directory");
        let error = find_in("c", both()).expect_err("nothing there");
        let text = error.to_string();
        assert!(text.contains("libpenfold_c.so and c.so"), "{text}");
        assert!(text.contains(&format!("{}, {}", first.display(), second.display())), "{text}");
        assert_eq!(find("./a/b.so").expect("a path stays").display().to_string(), "./a/b.so");
    }
}
