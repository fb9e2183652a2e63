//! The rules that can be cited: those of docs/history.md, the promises of SPECIFICATION.md, the differences from Linux.

use std::collections::BTreeSet;

use crate::citations::Citation;
use crate::repository::page;

const HISTORY: &str = "docs/history.md";
const PROMISES: &str = "SPECIFICATION.md";
const DIFFERENCES: &str = "docs/differences.md";

/// Every rule that a page numbers.
pub(crate) struct Rules {
    history: BTreeSet<String>,
    steps: BTreeSet<(String, u32)>,
    promises: BTreeSet<String>,
    differences: BTreeSet<String>,
}

impl Rules {
    pub(crate) fn read() -> Self {
        let (history, steps) = history(&page(HISTORY));
        let promises = page(PROMISES);
        let sections = promises.lines().filter_map(|line| line.strip_prefix("## ")?.split(' ').next());
        let numbers = promises.lines().filter_map(|line| bold(line.strip_prefix("* ")?));
        let differences = page(DIFFERENCES);
        let listed = differences.lines().filter_map(|line| bold(line)?.split('.').next());
        Self {
            history,
            steps,
            promises: sections.chain(numbers).map(str::to_owned).collect(),
            differences: listed.map(str::to_owned).collect(),
        }
    }

    /// An error names the page that lacks the rule.
    pub(crate) fn resolve(&self, citation: &Citation) -> Result<(), &'static str> {
        let rule = citation.rule.as_str();
        let (known, page) = match &rule[..1] {
            "P" => (self.promises.contains(rule), PROMISES),
            "L" => (self.differences.contains(rule), DIFFERENCES),
            _ => (self.history.contains(rule), HISTORY),
        };
        let step = citation.step.is_none_or(|step| self.steps.contains(&(rule.to_owned(), step)));
        if known && step { Ok(()) } else { Err(page) }
    }
}

/// The text between the first `**` of a line that begins with it and the second.
fn bold(line: &str) -> Option<&str> {
    line.strip_prefix("**")?.split("**").next()
}

/// Sections (`### A1. …`), rules (`- **A1.1** …`) and the steps below a heading or rule (`1. …`).
fn history(page: &str) -> (BTreeSet<String>, BTreeSet<(String, u32)>) {
    let (mut rules, mut steps) = (BTreeSet::new(), BTreeSet::new());
    let mut last = String::new();
    for line in page.lines() {
        let heading = line.strip_prefix("### ").and_then(|line| line.split(['.', ' ']).next());
        if let Some(rule) = heading.or_else(|| bold(line.strip_prefix("- ")?)) {
            rule.clone_into(&mut last);
            rules.insert(last.clone());
        } else if let Some(step) = line.trim_start().split(". ").next().and_then(|digits| digits.parse().ok())
        {
            steps.insert((last.clone(), step));
        }
    }
    (rules, steps)
}

#[test]
fn rules_of_the_history_are_found() {
    let page = "# H\n## A. Part\n### A1. Section\n- **A1.1** Rule.\n  1. Step.\n  - **no** rule\n### A2 (x)\n\n1. Step.\n10. Step.";
    let (rules, steps) = history(page);
    assert_eq!(rules, ["A1", "A1.1", "A2"].map(str::to_owned).into());
    let expected = [("A1.1", 1), ("A2", 1), ("A2", 10)].map(|(rule, step)| (rule.to_owned(), step));
    assert_eq!(steps, expected.into());
}

#[test]
fn no_rule_is_numbered_twice() {
    for (path, item) in [(HISTORY, "- **"), (PROMISES, "* **P"), (DIFFERENCES, "**L")] {
        let page = page(path);
        let mut seen = BTreeSet::new();
        let numbers = page.lines().filter_map(|line| line.strip_prefix(item)?.split("**").next());
        for number in numbers.map(|rule| rule.split(". ").next().unwrap_or(rule)) {
            assert!(seen.insert(number), "{path}: {number} is there twice");
        }
        assert!(seen.len() > 50, "{path}: only {} rules were understood", seen.len());
    }
}
