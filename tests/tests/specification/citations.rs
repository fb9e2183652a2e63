//! Every citation in a comment, a page or the name of a test names a rule that is there.
//!
//! A citation is a whole word of prose, of one of the forms below. N is a decimal number of one to three digits that
//! does not begin with 0. The small letter x may be absent.
//!
//! * `A1x` to `H1x`: a section of docs/history.md. `A1x.Nx` is a rule of it, ` step N` behind it one of its steps.
//! * `TN`: a test vector there.
//! * `PN` or `PN.N`: a section or a promise of SPECIFICATION.md.
//! * `LN`: a difference in docs/differences.md.
//!
//! Code, in backticks too, is not prose. Words that have this form and mean something else are in [`NO_CITATIONS`]. The
//! name of a test cites what it begins with: `t07_` is T7, `e6_3_` is E6.3, `e3_` is E3.

use std::fmt;

use crate::comments::prose;
use crate::repository::{all_tests, files};
use crate::rules::Rules;

/// Words of the form of a citation: versions of C.
const NO_CITATIONS: [&str; 4] = ["C99", "C11", "C17", "C23"];

/// The rule that a word of prose cites, in the form of the pages' numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Citation {
    /// `A8`, `F3.16`, `E5b`, `T7`, `P40.14`, `L37`.
    pub(crate) rule: String,
    pub(crate) step: Option<u32>,
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "{} step {step}", self.rule),
            None => f.write_str(&self.rule),
        }
    }
}

/// The digits at the beginning, and the text behind them.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    ((1..=3).contains(&end) && !text.starts_with('0')).then(|| text.split_at(end))
}

fn without_letter(text: &str) -> &str {
    let (letter, rest) = text.split_at(usize::from(text.starts_with(|c: char| c.is_ascii_lowercase())));
    let alone = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if letter.is_empty() || alone { rest } else { text }
}

/// The citation at the beginning of a word, and its length.
fn rule_at(text: &str) -> Option<(&str, usize)> {
    let kind = text.chars().next().filter(|c| matches!(c, 'A'..='H' | 'L' | 'P' | 'T'))?;
    let (digits, mut rest) = number(&text[1..])?;
    if kind.is_ascii_uppercase() && matches!(kind, 'A'..='H') {
        if digits.len() > 2 {
            return None;
        }
        rest = without_letter(rest);
    }
    if matches!(kind, 'A'..='H' | 'P')
        && let Some((_, after)) = rest.strip_prefix('.').and_then(number)
    {
        rest = if kind == 'P' { after } else { without_letter(after) };
    }
    let goes_on = |c: char| c.is_alphanumeric() || "_-+/=%".contains(c);
    let next = |rest: &str| rest.chars().next();
    let fraction = rest.strip_prefix('.').is_some_and(|after| next(after).is_some_and(char::is_alphanumeric));
    let whole = !next(rest).is_some_and(goes_on) && !fraction;
    let length = text.len() - rest.len();
    (whole && !NO_CITATIONS.contains(&&text[..length])).then_some((&text[..length], length))
}

/// The citations in a line of prose.
pub(crate) fn citations(line: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    let mut before = ' ';
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let inside = before.is_alphanumeric() || "_-+/=.#&$%<".contains(before);
        let Some((rule, length)) = rule_at(&line[at..]).filter(|_| !inside) else {
            (before, at) = (c, at + c.len_utf8());
            continue;
        };
        let rest = &line[at + length..];
        let step = rest.strip_prefix(" step ").and_then(number).and_then(|(digits, _)| digits.parse().ok());
        found.push(Citation { rule: rule.to_owned(), step });
        (before, at) = ('0', at + length);
    }
    found
}

/// The rule that the name of a test cites.
fn cited_by_name(name: &str) -> Option<Citation> {
    let (kind, rest) = name.split_at_checked(1)?;
    if !matches!(kind, "a" | "b" | "c" | "d" | "e" | "f" | "g" | "h" | "l" | "p" | "t") {
        return None;
    }
    let (digits, rest) = number(rest.trim_start_matches('0'))?;
    let rest = rest.strip_prefix('_')?;
    let second = number(rest).filter(|(_, after)| after.starts_with('_') && kind != "t" && kind != "l");
    let second = second.map(|(digits, _)| format!(".{digits}")).unwrap_or_default();
    let rule = format!("{}{digits}{second}", kind.to_uppercase());
    (!NO_CITATIONS.contains(&rule.as_str())).then_some(Citation { rule, step: None })
}

/// Every citation of the repository that names nothing, with its place; and how many stand outside of pages.
fn unresolved(rules: &Rules) -> (Vec<String>, usize) {
    let mut problems = Vec::new();
    let mut count = 0;
    let mut check = |place: &str, citation: &Citation| {
        count += usize::from(!place.contains(".md:"));
        if let Err(page) = rules.resolve(citation) {
            problems.push(format!("{place}: {citation} is not in {page}"));
        }
    };
    for (path, text) in files(&["rs", "md", "c", "h", "toml"]) {
        for (number, line) in prose(&path, &text) {
            let place = format!("{path}:{number}");
            for citation in citations(&line) {
                check(&place, &citation);
            }
        }
    }
    for (path, names) in all_tests() {
        for name in names {
            let place = format!("{path}: the test {name}");
            if let Some(citation) = cited_by_name(&name) {
                check(&place, &citation);
            }
        }
    }
    (problems, count)
}

#[test]
fn every_citation_names_a_rule() {
    let (problems, count) = unresolved(&Rules::read());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 200, "only {count} citations were found");
}

#[test]
fn allowed_differences_are_listed() {
    let rules = Rules::read();
    for allowed in penfold_tests::differential::MEANT {
        let citation = Citation { rule: allowed.number.to_owned(), step: None };
        assert_eq!(rules.resolve(&citation), Ok(()), "{}", allowed.number);
    }
}

#[test]
fn citations_in_prose_are_found() {
    let of = |line: &str| citations(line).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(of("Takes a number (B3.7), F3.16; A6.1b."), ["B3.7", "F3.16", "A6.1b"]);
    assert_eq!(of("E1 to E6, E5b, T7 and *T10*."), ["E1", "E6", "E5b", "T7", "T10"]);
    assert_eq!(of("E2 step 9, E3 steps 1 and 2"), ["E2 step 9", "E3"]);
    assert_eq!(of("* **P40.14** and P6, as in L37."), ["P40.14", "P6", "L37"]);
    assert_eq!(of("A3.4, A3.5: nothing [C1]"), ["A3.4", "A3.5", "C1"]);
    assert_eq!(of("„B4.4“—C2… (D37)"), ["B4.4", "C2", "D37"]);
}

#[test]
fn other_words_are_no_citations() {
    for line in [
        "E2BIG ENOENT EAGAIN",
        "0xB3 and 1B3, F32x4, B3_4, a_B3",
        "C99, C11 and C++20",
        "A, B and T; H",
        "T0, B03, A1000, T1234",
        "A4-sized, -B4, C1/2, 5/A4, +E2, E2=1, F5%",
        "version A1.2.3 or B4.c, file.B4",
        "#A1, $B2, &C3, <D4>",
        "x86_64 i386 UTF-8 SHA256 I2 K8 M1 R2 X11 Z3",
    ] {
        assert_eq!(citations(line), [], "{line}");
    }
}

#[test]
fn names_of_tests_cite() {
    let of = |name| cited_by_name(name).map(|citation| citation.rule);
    for (name, rule) in [
        ("t07_a_bad_number", "T7"),
        ("t10_64_slots", "T10"),
        ("e6_3_no_limit_is_left", "E6.3"),
        ("e3_a_module_is_loaded", "E3"),
        ("p40_14_a_mount", "P40.14"),
        ("l37_rules_come_later", "L37"),
    ] {
        assert_eq!(of(name).as_deref(), Some(rule), "{name}");
    }
    for name in ["a_test", "t_07", "to7_x", "e6", "b", "", "c99_compiles", "x1_y", "é1_z"] {
        assert_eq!(of(name), None, "{name}");
    }
}

#[test]
fn a_citation_without_a_rule_is_found() {
    let rules = Rules::read();
    let check = |line: &str| rules.resolve(&citations(line)[0]);
    for there in
        ["A1.1", "A6.1b", "B7", "C6 step 8", "E2 step 9", "E5b", "F9.8", "G7", "T15", "P1", "P1.3", "L1"]
    {
        assert_eq!(check(there), Ok(()), "{there}");
    }
    for (gone, page) in [
        ("B4.99", "docs/history.md"),
        ("A9", "docs/history.md"),
        ("D37", "docs/history.md"),
        ("H1", "docs/history.md"),
        ("T16", "docs/history.md"),
        ("E2 step 11", "docs/history.md"),
        ("E2.9", "docs/history.md"),
        ("E1 step 1", "docs/history.md"),
        ("P1.99", "SPECIFICATION.md"),
        ("L999", "docs/differences.md"),
    ] {
        assert_eq!(check(gone), Err(page), "{gone}");
    }
}
