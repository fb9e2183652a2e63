//! The definitions of all Rust files of the repository.

use std::collections::BTreeMap;

use crate::conditions::BuildCondition;
use crate::definitions::{Definition, DefinitionKind, definitions};
use crate::repository::{Repository, RepositoryFile, is_rust};

/// A Rust file with its definitions.
#[derive(Debug)]
pub(crate) struct DefiningFile {
    pub(crate) file: RepositoryFile,
    /// Each with its own conditions and those of the `mod` that includes the file.
    pub(crate) definitions: Vec<Definition>,
}

/// All Rust files in the order of their paths.
///
/// # Errors
/// A file that can't be read or is not Rust.
pub(crate) fn defining_files(repository: &Repository) -> Result<Vec<DefiningFile>, String> {
    let mut files = Vec::new();
    for file in repository.files()?.into_iter().filter(|file| is_rust(&file.path)) {
        let found = definitions(&repository.read(&file.path)?);
        let definitions = found.map_err(|error| format!("{}:{error}", file.path))?;
        files.push(DefiningFile { file, definitions });
    }
    inherit_conditions(&mut files);
    Ok(files)
}

/// Gives each file the conditions of the `mod` that includes it, and so on downwards.
fn inherit_conditions(files: &mut [DefiningFile]) {
    let paths: BTreeMap<String, usize> =
        files.iter().enumerate().map(|(at, file)| (file.file.path.clone(), at)).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for at in 0..files.len() {
            for (child, conditions) in included_files(&files[at], &paths) {
                for definition in &mut files[child].definitions {
                    changed |= add_conditions(definition, &conditions);
                }
            }
        }
    }
}

/// The files that a file includes by `mod`, each with the conditions of that.
fn included_files(file: &DefiningFile, paths: &BTreeMap<String, usize>) -> Vec<(usize, Vec<BuildCondition>)> {
    let modules = file.definitions.iter().filter(|item| item.kind == DefinitionKind::Module { file: true });
    let included = |module: &Definition| {
        let child = places(&file.file.path, &module.name).iter().find_map(|path| paths.get(path).copied());
        Some((child?, module.conditions.clone()))
    };
    modules.filter_map(included).collect()
}

/// Whether one of them is new.
fn add_conditions(definition: &mut Definition, conditions: &[BuildCondition]) -> bool {
    let before = definition.conditions.len();
    for condition in conditions {
        if !definition.conditions.contains(condition) {
            definition.conditions.push(condition.clone());
        }
    }
    definition.conditions.len() > before
}

/// Where the file of a `mod` may be, given the file that declares it.
fn places(declaring: &str, name: &str) -> [String; 4] {
    let below = declaring.trim_end_matches(".rs");
    let folder = declaring.rsplit_once('/').map_or(".", |(folder, _)| folder);
    [
        format!("{below}/{name}.rs"),
        format!("{below}/{name}/mod.rs"),
        format!("{folder}/{name}.rs"),
        format!("{folder}/{name}/mod.rs"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_a_mod_reach_the_files_below_it() {
        let file = |path: &str, source: &str| DefiningFile {
            file: RepositoryFile { path: path.to_owned(), package: "p".to_owned() },
            definitions: definitions(source).unwrap(),
        };
        let mut files = [
            file("src/a.rs", "mod b;"),
            file("src/a/b.rs", "struct B;"),
            file("src/c/mod.rs", "struct C;"),
            file("src/lib.rs", "#[cfg(unix)] mod a; mod c;"),
        ];
        inherit_conditions(&mut files);
        let numbers = files.iter().map(|file| file.definitions[0].conditions.len()).collect::<Vec<_>>();
        assert_eq!(numbers, [1, 1, 0, 1]);
    }

    #[test]
    fn every_file_of_the_repository_can_be_read() {
        let files = defining_files(&Repository::of_this_program()).unwrap();
        let engine = files.iter().find(|file| file.file.path == "crates/core/src/engine.rs").unwrap();
        assert!(engine.definitions.iter().any(|definition| definition.name == "Engine"));
    }
}
