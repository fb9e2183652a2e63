//! SPECIFICATION.md names a proof for every promise, and every proof that it names is there.

use std::collections::BTreeSet;
use std::path::Path;

use penfold_tests::SCENARIOS;

use crate::repository::{TestNames, all_tests, page, tests_in};

/// The errors in one promise's references.
fn wrong_references(references: &str, tests: &TestNames) -> Vec<String> {
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

/// The number of a section, `## P7 …`, or of a promise, `* **P7.12** …`, as numbers that can be compared.
fn place(number: &str) -> Option<(u32, u32)> {
    let (section, promise) = number.split_once('.').unwrap_or((number, "0"));
    Some((section.parse().ok()?, promise.parse().ok()?))
}

/// Everything that is wrong with the document.
fn problems(document: &str, tests: &TestNames) -> Vec<String> {
    let mut problems = Vec::new();
    let mut numbers = BTreeSet::new();
    let mut last = (0, 0);
    let mut in_order = |number: &str| match place(number) {
        None => Some(format!("P{number}: no number")),
        Some(here) if here <= last => Some(format!("P{number} stands after P{}.{}", last.0, last.1)),
        Some(here) if here.1 > 0 && here.0 != last.0 => Some(format!("P{number} is in section P{}", last.0)),
        Some(here) => {
            last = here;
            None
        }
    };
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## P") {
            problems.extend(in_order(heading.split(' ').next().unwrap_or_default()));
            continue;
        }
        let Some((number, text)) = line.strip_prefix("* **P").and_then(|rest| rest.split_once("** ")) else {
            if line.contains("**P") {
                problems.push(format!("not a promise on one line: {line}"));
            }
            continue;
        };
        if numbers.insert(number) {
            problems.extend(in_order(number));
        } else {
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
    let document = page("SPECIFICATION.md");
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
    let tests = TestNames::from([("crates/core/tests/a.rs".to_owned(), tests_in(source))]);
    let document = "
## P1 Section
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

#[test]
fn a_promise_out_of_order_is_found() {
    let document = "
## P2 Section
* **P2.2** Right. [untested]
* **P2.10** Right, with a gap. [untested]
* **P2.9** Late. [untested]
* **P3.1** In the wrong section. [untested]
## P1 Late";
    let expected = ["P2.9 stands after P2.10", "P3.1 is in section P2", "P1 stands after P2.10"];
    assert_eq!(problems(document, &TestNames::new()), expected);
}
