//! The files of the repository, and the test functions in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The test functions of each file, by its path from the top of the repository.
pub(crate) type TestNames = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Path from the top and text of every file with one of these extensions.
pub(crate) fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    collect(&top(), extensions, &mut paths);
    let relative = |path: &Path| path.strip_prefix(top()).expect("inside").to_string_lossy().into_owned();
    let read = |path: &Path| fs::read_to_string(path).expect("a text file");
    paths.iter().map(|path| (relative(path), read(path))).collect()
}

fn collect(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of the repository").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.') || name == "target";
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !hidden {
            collect(&path, extensions, found);
        } else if extensions.contains(&extension.as_str()) {
            found.push(path);
        }
    }
}

/// A page of the repository.
pub(crate) fn page(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn all_tests() -> TestNames {
    files(&["rs"]).into_iter().map(|(path, source)| (path, tests_in(&source))).collect()
}

fn function_name(line: &str) -> Option<&str> {
    let after = line.trim_start().trim_start_matches("pub ").strip_prefix("fn ")?;
    Some(&after[..after.find(['(', '<'])?])
}

/// Functions marked as tests; those in a table of tests for each host; without the usual harness, those that the table in
/// `main` names.
pub(crate) fn tests_in(source: &str) -> BTreeSet<String> {
    let table = source.contains("let tests: &[(&str, fn())]");
    let on_each_host = source.split("\non_each_host! {\n").nth(1).and_then(|rest| rest.split("\n}\n").next());
    let mut names = BTreeSet::new();
    let mut marked = false;
    for line in source.lines() {
        if line.trim() == "#[test]" {
            marked = true;
        } else if let Some(name) = function_name(line) {
            let is_test = std::mem::take(&mut marked)
                || table && source.contains(&format!("\"{name}\","))
                || on_each_host
                    .is_some_and(|table| table.lines().any(|line| line.trim() == format!("{name},")));
            names.extend(is_test.then(|| name.to_owned()));
        }
    }
    names
}

#[test]
fn test_functions_are_found() {
    let source = "#[test]\n#[cfg(unix)]\nfn one() {}\nfn helper() {}\n#[test]\nfn two() {}\n";
    assert_eq!(tests_in(source), ["one", "two"].map(str::to_owned).into());
    let table = "use x;\n\non_each_host! {\n    one,\n}\n\nfn one(host: Host) {}\nfn other(host: Host) {}\n";
    assert_eq!(tests_in(table), ["one"].map(str::to_owned).into());
    let files = all_tests();
    assert!(files.values().map(BTreeSet::len).sum::<usize>() > 500, "too few tests were found");
}
