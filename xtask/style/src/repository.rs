//! The files of the repository and the package to which each belongs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The work tree that this program was built in.
#[derive(Debug)]
pub(crate) struct Repository {
    top: PathBuf,
}

/// One file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryFile {
    /// The path in the repository.
    pub(crate) path: String,
    /// The name of the file's package; `-` outside of all packages.
    pub(crate) package: String,
}

impl Repository {
    pub(crate) fn of_this_program() -> Repository {
        Repository { top: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..") }
    }

    /// The files that git knows or would take, in the order of their paths.
    ///
    /// # Errors
    /// git fails.
    pub(crate) fn files(&self) -> Result<Vec<RepositoryFile>, String> {
        let listed = self.git(&["ls-files", "--cached", "--others", "--exclude-standard"])?;
        let mut paths: Vec<&str> = listed.lines().filter(|path| self.top.join(path).is_file()).collect();
        paths.sort_unstable();
        paths.dedup();
        let packages = self.packages(&paths)?;
        let file = |path: &&str| RepositoryFile {
            path: (*path).to_owned(),
            package: package_of(path, &packages).to_owned(),
        };
        Ok(paths.iter().map(file).collect())
    }

    /// The Rust files below a folder, by their paths: those of a commit, or those of the work tree.
    ///
    /// # Errors
    /// There is no such commit, or none of its files is there.
    pub(crate) fn sources(
        &self,
        folder: &str,
        revision: Option<&str>,
    ) -> Result<BTreeMap<String, String>, String> {
        let paths: Vec<String> = match revision {
            None => self.files()?.into_iter().map(|file| file.path).collect(),
            Some(revision) => {
                let listed =
                    self.git(&["ls-tree", "-r", "--name-only", "--full-tree", revision, "--", folder])?;
                listed.lines().map(str::to_owned).collect()
            }
        };
        let below = paths.into_iter().filter(|path| Path::new(path).starts_with(folder) && is_rust(path));
        let read = |path: String| {
            let text = match revision {
                None => self.read(&path)?,
                Some(revision) => self.git(&["show", &format!("{revision}:{path}")])?,
            };
            Ok((path, text))
        };
        let sources: BTreeMap<String, String> = below.map(read).collect::<Result<_, String>>()?;
        if sources.is_empty() { Err(format!("{folder}: no Rust file there")) } else { Ok(sources) }
    }

    /// Whether git leaves a path out: a build or a run makes it.
    ///
    /// # Errors
    /// git fails.
    pub(crate) fn ignores(&self, path: &str) -> Result<bool, String> {
        let status = self.git_command(&["check-ignore", "--quiet", path]).status();
        status.map(|status| status.success()).map_err(|error| format!("git check-ignore {path}: {error}"))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// The file can't be read or is not UTF-8.
    pub(crate) fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(self.top.join(path)).map_err(|error| format!("{path}: {error}"))
    }

    /// The path in the repository of a path on the command line, which is relative to the current directory.
    ///
    /// # Errors
    /// The path does not exist or is not in the repository.
    pub(crate) fn path_of(&self, named: &Path) -> Result<String, String> {
        let failed = |error| format!("{}: {error}", named.display());
        let whole = named.canonicalize().or_else(|_| self.top.join(named).canonicalize()).map_err(failed)?;
        let top = self.top.canonicalize().map_err(failed)?;
        let inside = whole.strip_prefix(&top).ok().and_then(Path::to_str);
        inside.map(str::to_owned).ok_or(format!("{}: outside of {}", named.display(), top.display()))
    }

    /// The name of each package, by its folder.
    fn packages(&self, paths: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let manifests =
            paths.iter().filter(|path| Path::new(path).file_name() == Some("Cargo.toml".as_ref()));
        let mut packages = BTreeMap::new();
        for manifest in manifests {
            if let Some(name) = package_name(&self.read(manifest)?) {
                let folder = manifest.rsplit_once('/').map_or("", |(folder, _)| folder);
                packages.insert(folder.to_owned(), name);
            }
        }
        Ok(packages)
    }

    fn git(&self, arguments: &[&str]) -> Result<String, String> {
        let step = format!("git {}", arguments.join(" "));
        let output = self.git_command(arguments).output().map_err(|error| format!("{step}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{step}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        String::from_utf8(output.stdout).map_err(|error| format!("{step}: {error}"))
    }

    fn git_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.top).args(["-c", "core.quotePath=false"]).args(arguments);
        command
    }
}

pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// The `name` of the table `[package]`.
fn package_name(manifest: &str) -> Option<String> {
    let (_, package) = manifest.split_once("[package]")?;
    let table = package.split("\n[").next()?;
    let value = table.lines().find_map(|line| line.strip_prefix("name"))?;
    Some(value.trim_start().strip_prefix('=')?.trim().trim_matches('"').to_owned())
}

/// The package of the nearest folder above a file that has one.
fn package_of<'a>(path: &str, packages: &'a BTreeMap<String, String>) -> &'a str {
    let above = Path::new(path).ancestors().skip(1);
    let found = above.filter_map(Path::to_str).find_map(|folder| packages.get(folder));
    found.map_or("-", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_name_is_that_of_the_package_table() {
        let manifest =
            "[workspace]\nname = \"no\"\n[package]\nversion = \"1\"\nname = \"yes\"\n[lib]\nname = \"no\"\n";
        assert_eq!(package_name(manifest).as_deref(), Some("yes"));
        assert_eq!(package_name("[workspace]\nmembers = []\n"), None);
    }

    #[test]
    fn file_belongs_to_the_nearest_package() {
        let named = |folder: &str, name: &str| (folder.to_owned(), name.to_owned());
        let packages = BTreeMap::from([named("a", "outer"), named("a/b", "inner")]);
        assert_eq!(package_of("a/b/src/lib.rs", &packages), "inner");
        assert_eq!(package_of("a/src/b/lib.rs", &packages), "outer");
        assert_eq!(package_of("README.md", &packages), "-");
    }

    #[test]
    fn this_file_is_in_this_package() {
        let repository = Repository::of_this_program();
        let files = repository.files().unwrap();
        let this = files.iter().find(|file| file.path == "xtask/style/src/repository.rs").unwrap();
        assert_eq!(this.package, "penfold-style");
        assert!(repository.read(&this.path).unwrap().contains("this_file_is_in_this_package"));
    }
}
