//! The files of a crate, from the work tree or from a commit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The tree from which files are read.
pub(crate) struct SourceTree<'a> {
    /// The top of the repository.
    pub(crate) top: &'a Path,
    /// The commit; `None` for the work tree.
    pub(crate) revision: Option<&'a str>,
}

impl SourceTree<'_> {
    /// The text of each Rust file below a folder, by its path in the repository.
    ///
    /// # Errors
    /// The folder or the commit does not exist.
    pub(crate) fn files(&self, folder: &str) -> Result<BTreeMap<String, String>, String> {
        match self.revision {
            Some(revision) => self.committed(revision, folder),
            None => self.present(folder),
        }
    }

    fn present(&self, folder: &str) -> Result<BTreeMap<String, String>, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let failed = |error| format!("arrows: {folder}: {error}");
            for entry in fs::read_dir(self.top.join(&folder)).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                let name = format!("{folder}/{name}");
                if path.is_dir() {
                    folders.push(name);
                } else if is_rust(&name) {
                    files.insert(name, fs::read_to_string(&path).map_err(failed)?);
                }
            }
        }
        Ok(files)
    }

    fn committed(&self, revision: &str, folder: &str) -> Result<BTreeMap<String, String>, String> {
        let names = self.git(&["ls-tree", "-r", "--name-only", "--full-tree", revision, "--", folder])?;
        names
            .lines()
            .filter(|name| is_rust(name))
            .map(|name| Ok((name.to_owned(), self.git(&["show", &format!("{revision}:{name}")])?)))
            .collect()
    }

    fn git(&self, arguments: &[&str]) -> Result<String, String> {
        let step = format!("arrows: git {}", arguments.join(" "));
        let output = Command::new("git")
            .arg("-C")
            .arg(self.top)
            .args(arguments)
            .output()
            .map_err(|error| format!("{step}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{step}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        String::from_utf8(output.stdout).map_err(|error| format!("{step}: {error}"))
    }
}

fn is_rust(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "rs")
}
