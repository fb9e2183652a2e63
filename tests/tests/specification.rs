//! SPECIFICATION.md names a proof for every promise, and every proof that it names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use penfold_tests::SCENARIOS;

/// The test functions of each file, by its path from the top of the repository.
type Tests = BTreeMap<String, BTreeSet<String>>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of the repository").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.') || name == "target";
        if path.is_dir() && !hidden {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let after = line.trim_start().trim_start_matches("pub ").strip_prefix("fn ")?;
    Some(&after[..after.find(['(', '<'])?])
}

/// What is marked as a test; what a table of tests for each host names; without the usual harness, what the table of tests
/// in `main` names.
fn tests_in(source: &str) -> BTreeSet<String> {
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

fn all_tests() -> Tests {
    let mut files = Vec::new();
    sources(&repository(), &mut files);
    let relative =
        |path: &Path| path.strip_prefix(repository()).expect("inside").to_string_lossy().into_owned();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a source file");
    files.iter().map(|path| (relative(path), tests_in(&read(path)))).collect()
}

/// What is wrong with one promise's references.
fn wrong_references(references: &str, tests: &Tests) -> Vec<String> {
    let mut problems = Vec::new();
    let mut since_last_file = Vec::new();
    for reference in references.split([',', ';']).map(str::trim) {
        if let Some(name) = reference.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
            if !tests.values().any(|names| names.contains(name)) {
                problems.push(format!("there is no test `{name}`"));
            }
            since_last_file.push(name);
        } else if let Some(name) = reference.strip_prefix("recorded:") {
            if !SCENARIOS.iter().any(|scenario| scenario.name == name) {
                problems.push(format!("there is no scenario {name}"));
            }
        } else if Path::new(reference).extension().is_some_and(|extension| extension == "rs") {
            let end = format!("/{reference}");
            let is_it = |file: &str| file == reference || file.ends_with(&end);
            let there = |name: &str| tests.iter().any(|(file, names)| is_it(file) && names.contains(name));
            if since_last_file.is_empty() {
                problems.push(format!("{reference} stands without a test"));
            }
            let elsewhere = since_last_file.drain(..).filter(|name| !there(name));
            problems.extend(elsewhere.map(|name| format!("`{name}` is not in {reference}")));
        } else if !["model", "untested"].contains(&reference) {
            problems.push(format!("{reference:?} is no reference"));
        }
    }
    problems
}

/// Everything that is wrong with the document.
fn problems(document: &str, tests: &Tests) -> Vec<String> {
    let mut problems = Vec::new();
    let mut numbers = BTreeSet::new();
    for line in document.lines() {
        let Some((number, text)) = line.strip_prefix("* **P").and_then(|rest| rest.split_once("** ")) else {
            if line.contains("**P") {
                problems.push(format!("not a promise on one line: {line}"));
            }
            continue;
        };
        if !numbers.insert(number) {
            problems.push(format!("P{number}: the number is there twice"));
        }
        let Some((_, references)) = text.strip_suffix(']').and_then(|text| text.rsplit_once(" [")) else {
            problems.push(format!("P{number}: neither a test nor [untested]"));
            continue;
        };
        problems
            .extend(wrong_references(references, tests).into_iter().map(|what| format!("P{number}: {what}")));
    }
    problems
}

#[test]
fn every_promise_has_a_proof_that_exists() {
    let document = fs::read_to_string(repository().join("SPECIFICATION.md")).expect("SPECIFICATION.md");
    let tests = all_tests();
    let model = ["core_does_what_the_naive_model_does", "penfold_does_what_was_recorded"];
    for name in model.into_iter().chain(["penfold_does_what_this_kernel_does"]) {
        assert!(document.contains(name) && tests.values().any(|names| names.contains(name)), "{name}");
    }
    let promises = document.lines().filter(|line| line.starts_with("* **P")).count();
    assert!(promises > 100, "only {promises} promises were understood");
    let problems = problems(&document, &tests);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_promise_without_proof_is_found() {
    let source = "#[test]\n#[cfg(unix)]\nfn one() {}\nfn helper() {}\n#[test]\nfn two() {}\n";
    assert_eq!(tests_in(source), ["one", "two"].map(str::to_owned).into());
    let table = "use x;\n\non_each_host! {\n    one,\n}\n\nfn one(host: Host) {}\nfn other(host: Host) {}\n";
    assert_eq!(tests_in(table), ["one"].map(str::to_owned).into());
    let tests = Tests::from([("crates/core/tests/a.rs".to_owned(), tests_in(source))]);
    let document = "
* **P1.1** Right. [`one`, `two`, core/tests/a.rs; recorded:mount_data, model]
* **P1.2** Right. [untested]
* **P1.1** Twice. [model]
* **P1.3** Nothing.
* **P1.4** Gone. [`helper`, a.rs]
* **P1.5** Elsewhere. [`two`, b.rs]
* **P1.6** No scenario. [recorded:nothing]
* **P1.7** No reference. [somewhere]
* **P1.8** No test. [a.rs]
  **P1.9** No item. [model]";
    let expected = [
        "P1.1: the number is there twice",
        "P1.3: neither a test nor [untested]",
        "P1.4: there is no test `helper`",
        "P1.4: `helper` is not in a.rs",
        "P1.5: `two` is not in b.rs",
        "P1.6: there is no scenario nothing",
        "P1.7: \"somewhere\" is no reference",
        "P1.8: a.rs stands without a test",
        "not a promise on one line:   **P1.9** No item. [model]",
    ];
    assert_eq!(problems(document, &tests), expected);
}
