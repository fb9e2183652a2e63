//! `cargo xtask words`: sentences, words and names of tests that penfold's style does without.

mod findings;
mod messages;
mod phrases;
mod prose;
mod sentences;
mod tests_of_file;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::StyleReport;
use crate::repository::{Repository, RepositoryFile};
use findings::{WordFinding, findings, has_prose};
use phrases::RULES;

const RULES_HELP: &str = "\
Rules:
  long        a sentence of more than 25 words
  told        \"is told\" and the like: a call or an event has a name
  who-noun    a clause with \"who\" as a noun: a role has a name
  what-noun   a clause with \"what\" as a noun, at the start or behind \"of\", \"for\", \"with\" ...
  person      \"somebody\" and the like: a role has a name
  no-subject  documentation that begins with a pronoun
  image       a word that is no word of the field
  test-name   the name of a test with more than 55 characters";

/// Lists long sentences, words that the style does without, and long names of tests.
///
/// Reads comments of sources, messages of Rust programs and the text of Markdown pages, without code blocks, code spans
/// and quoted words.
#[derive(Debug, Args)]
#[command(after_help = RULES_HELP)]
pub(crate) struct WordsArguments {
    /// Fails if anything is found.
    #[arg(long)]
    check: bool,
    /// Shows only the numbers for each package.
    #[arg(long)]
    summary: bool,
    /// Looks for this rule only; the numbers at the end name the rules.
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Files and folders; the whole repository if none is named.
    paths: Vec<PathBuf>,
}

/// Each finding with its file and line, and numbers for each package.
///
/// # Errors
/// A file that can't be read or is not Rust.
pub(crate) fn words(repository: &Repository, arguments: &WordsArguments) -> Result<StyleReport, String> {
    let wanted = wanted_files(repository, &arguments.paths)?;
    let mut text = String::new();
    let mut numbers: BTreeMap<String, BTreeMap<&'static str, usize>> = BTreeMap::new();
    for file in &wanted {
        let of_package = numbers.entry(file.package.clone()).or_default();
        for finding in findings(&file.path, &repository.read(&file.path)?)? {
            if !arguments.rule.is_empty() && !arguments.rule.iter().any(|rule| rule == finding.rule) {
                continue;
            }
            *of_package.entry(finding.rule).or_default() += 1;
            if !arguments.summary {
                let WordFinding { line, rule, shown } = finding;
                let _ = writeln!(text, "{}:{line}: {rule}: {shown}", file.path);
            }
        }
    }
    text += &table(&numbers);
    let all: usize = numbers.values().flat_map(BTreeMap::values).sum();
    Ok(StyleReport { text, fails: arguments.check && all > 0 })
}

/// The files with prose at or below the paths.
fn wanted_files(repository: &Repository, paths: &[PathBuf]) -> Result<Vec<RepositoryFile>, String> {
    let below: Vec<String> = paths.iter().map(|path| repository.path_of(path)).collect::<Result<_, _>>()?;
    let mut files = repository.files()?;
    files.retain(|file| has_prose(&file.path));
    files.retain(|file| below.is_empty() || below.iter().any(|path| Path::new(&file.path).starts_with(path)));
    if files.is_empty() { Err("words: no source and no page there".into()) } else { Ok(files) }
}

/// A row for each package with findings and a sum, a column for each rule.
fn table(numbers: &BTreeMap<String, BTreeMap<&'static str, usize>>) -> String {
    let rules: Vec<&str> =
        ["long"].into_iter().chain(RULES.iter().map(|rule| rule.name)).chain(["test-name"]).collect();
    let mut text = format!("\n{:<20}", "package");
    for rule in &rules {
        let _ = write!(text, "{rule:>11}");
    }
    text.push_str("        all\n");
    let mut sums = BTreeMap::new();
    let mut row = |name: &str, of_package: &BTreeMap<&'static str, usize>| {
        let _ = write!(text, "{name:<20}");
        for rule in &rules {
            let _ = write!(text, "{:>11}", of_package.get(rule).copied().unwrap_or(0));
        }
        let _ = writeln!(text, "{:>11}", of_package.values().sum::<usize>());
    };
    for (package, of_package) in numbers {
        row(package, of_package);
        for (&rule, number) in of_package {
            *sums.entry(rule).or_default() += number;
        }
    }
    if numbers.len() > 1 {
        row("all", &sums);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_sums_what_packages_have() {
        let numbers = BTreeMap::from([
            ("a".to_owned(), BTreeMap::from([("long", 2)])),
            ("b".to_owned(), BTreeMap::from([("long", 1), ("told", 4)])),
        ]);
        let text = table(&numbers);
        let last: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["all", "3", "4", "0", "0", "0", "0", "0", "0", "7"][..last.len()]);
    }
}
