//! The name of a test is one fact in at most [`MAX_TEST_NAME`] characters.

use std::collections::BTreeMap;

use crate::repository::{TestNames, all_tests};

/// The longest name of a test.
const MAX_TEST_NAME: usize = 55;

/// The names that are too long, by folder.
fn too_long(tests: &TestNames) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, names) in tests {
        let depth = if path.starts_with("crates/") { 2 } else { 1 };
        let folder = path.split('/').take(depth).collect::<Vec<_>>().join("/");
        let long = names.iter().filter(|name| name.chars().count() > MAX_TEST_NAME);
        let long: Vec<_> = long.map(|name| format!("{path}: {name} has {}", name.chars().count())).collect();
        if !long.is_empty() {
            found.entry(folder).or_default().extend(long);
        }
    }
    found
}

#[test]
fn names_of_tests_are_short() {
    let found = too_long(&all_tests());
    for (folder, names) in &found {
        println!("{folder}: {} tests have names of more than {MAX_TEST_NAME} characters", names.len());
    }
    let problems: Vec<_> = found.values().flatten().map(String::as_str).collect();
    assert!(problems.is_empty(), "more than {MAX_TEST_NAME} characters:\n{}", problems.join("\n"));
}

#[test]
fn long_names_are_found() {
    let names = |length: usize| [("x".repeat(length))].into();
    let tests = TestNames::from([
        ("crates/a/tests/b.rs".to_owned(), names(MAX_TEST_NAME)),
        ("crates/a/tests/c.rs".to_owned(), names(MAX_TEST_NAME + 1)),
    ]);
    let found = too_long(&tests);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["crates/a"]);
    assert_eq!(found["crates/a"].len(), 1);
}
