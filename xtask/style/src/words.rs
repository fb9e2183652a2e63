//! `cargo xtask words`: sentences, words and names of tests that penfold's style does without.

mod phrases;
mod prose;
mod sentences;
mod tests_of_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::comments::{SourceLanguage, comments};
use crate::repository::{Repository, RepositoryFile};
use phrases::{RULES, place};
use prose::{Passage, PassageKind, Word, passages};

/// The most words that a sentence may have.
const LONGEST_SENTENCE: usize = 25;

/// The most characters that the name of a test may have.
const LONGEST_TEST_NAME: usize = 55;

/// How many words of a sentence a finding shows.
const SHOWN_WORDS: usize = 12;

/// Lists long sentences, words that the style does without, and long names of tests.
///
/// Reads the comments of Rust and C files and the text of Markdown pages. Code blocks, code spans and quoted words are
/// left out.
#[derive(Debug, Args)]
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

/// Something that a rule found.
#[derive(Debug, PartialEq)]
struct WordFinding {
    line: usize,
    rule: &'static str,
    shown: String,
}

/// Prints what is found, and numbers for each package.
///
/// # Errors
/// A file that can't be read; with `--check` any finding.
pub(crate) fn words(repository: &Repository, arguments: &WordsArguments) -> Result<(), String> {
    let wanted = wanted_files(repository, &arguments.paths)?;
    let mut numbers: BTreeMap<String, BTreeMap<&'static str, usize>> = BTreeMap::new();
    for file in &wanted {
        let of_package = numbers.entry(file.package.clone()).or_default();
        for finding in findings(&file.path, &repository.read(&file.path)?)? {
            if !arguments.rule.is_empty() && !arguments.rule.iter().any(|rule| rule == finding.rule) {
                continue;
            }
            *of_package.entry(finding.rule).or_default() += 1;
            if !arguments.summary {
                println!("{}:{}: {}: {}", file.path, finding.line, finding.rule, finding.shown);
            }
        }
    }
    print!("{}", table(&numbers));
    let all: usize = numbers.values().flat_map(BTreeMap::values).sum();
    if arguments.check && all > 0 { Err(format!("words: {all} findings")) } else { Ok(()) }
}

/// The files with prose at or below the paths.
fn wanted_files(repository: &Repository, paths: &[PathBuf]) -> Result<Vec<RepositoryFile>, String> {
    let below: Vec<String> = paths.iter().map(|path| repository.path_of(path)).collect::<Result<_, _>>()?;
    let mut files = repository.files()?;
    files.retain(|file| has_prose(&file.path));
    files.retain(|file| below.is_empty() || below.iter().any(|path| Path::new(&file.path).starts_with(path)));
    if files.is_empty() { Err("words: no Rust file, C file or page there".into()) } else { Ok(files) }
}

fn extension(path: &str) -> &str {
    Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or("")
}

fn has_prose(path: &str) -> bool {
    ["rs", "c", "h", "md"].contains(&extension(path))
}

fn findings(path: &str, text: &str) -> Result<Vec<WordFinding>, String> {
    let language = match extension(path) {
        "rs" => SourceLanguage::Rust,
        "md" => return Ok(in_prose(text, 1, true, path.ends_with("SPECIFICATION.md"))),
        _ => SourceLanguage::C,
    };
    // a generated file is mended at its source
    if text.lines().take(5).any(|line| line.to_lowercase().contains("do not edit")) {
        return Ok(Vec::new());
    }
    let mut found: Vec<WordFinding> = comments(text, language)
        .iter()
        .flat_map(|block| in_prose(&block.text, block.line, block.kind.is_documentation(), false))
        .collect();
    if language == SourceLanguage::Rust {
        let names = tests_of_file::test_functions(text).map_err(|error| format!("{path}: {error}"))?;
        found.extend(names.into_iter().filter(|(_, name)| name.chars().count() > LONGEST_TEST_NAME).map(
            |(line, name)| WordFinding {
                line,
                rule: "test-name",
                shown: format!("{} characters: {name}", name.chars().count()),
            },
        ));
        found.sort_by_key(|finding| finding.line);
    }
    Ok(found)
}

/// The findings in a text whose first line is `line` of its file. `documentation`: a page or the documentation of an
/// item; `citations`: promises stand there, each with its proofs in brackets.
fn in_prose(text: &str, line: usize, documentation: bool, citations: bool) -> Vec<WordFinding> {
    let passages = passages(text, citations);
    let mut found: Vec<WordFinding> = Vec::new();
    for (at, passage) in passages.iter().enumerate() {
        in_passage(passage, documentation && at == 0, &mut found);
    }
    for finding in &mut found {
        finding.line += line - 1;
    }
    found
}

fn in_passage(passage: &Passage, first: bool, found: &mut Vec<WordFinding>) {
    for (at, sentence) in sentences::sentences(&passage.words).into_iter().enumerate() {
        let words = sentences::count(sentence);
        if passage.kind == PassageKind::Text && words > LONGEST_SENTENCE {
            let shown = format!("{words} words: {}", shown(sentence, 0));
            found.push(WordFinding { line: sentence[0].line, rule: "long", shown });
        }
        // a title may be a question without its mark
        let rules = RULES.iter().filter(|rule| passage.kind == PassageKind::Text || rule.name == "image");
        for rule in rules {
            if let Some(place) = place(rule, sentence, first && at == 0) {
                let shown = shown(sentence, place);
                found.push(WordFinding { line: sentence[place].line, rule: rule.name, shown });
            }
        }
    }
}

/// The words around a place in a sentence.
fn shown(sentence: &[Word], place: usize) -> String {
    let from = place.saturating_sub(SHOWN_WORDS / 3);
    let to = sentence.len().min(from + SHOWN_WORDS);
    let words: Vec<&str> = sentence[from..to].iter().map(|word| word.text.as_str()).collect();
    let before = if from > 0 { "… " } else { "" };
    let after = if to < sentence.len() { " …" } else { "" };
    format!("{before}{}{after}", words.join(" "))
}

/// A row for each package with findings and a sum, a column for each rule.
fn table(numbers: &BTreeMap<String, BTreeMap<&'static str, usize>>) -> String {
    use std::fmt::Write as _;

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

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        findings(path, text).unwrap().iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    fn sentence(words: usize) -> String {
        format!("{}end.", "word ".repeat(words - 1))
    }

    #[test]
    fn sentence_of_26_words_is_long() {
        assert_eq!(rules("a.md", &sentence(25)), []);
        assert_eq!(rules("a.md", &sentence(26)), [(1, "long")]);
        assert_eq!(rules("a.md", &format!("{} {}", sentence(20), sentence(20))), []);
        assert_eq!(rules("a.md", &format!("# {}", sentence(30))), []);
    }

    #[test]
    fn finding_has_the_line_of_its_word() {
        let source = "fn f() {}\n\n/// Returns a\n/// desk.\n///\n/// The host is\n/// told.\nfn g() {}\n";
        assert_eq!(rules("a.rs", source), [(4, "image"), (6, "told")]);
    }

    #[test]
    fn name_of_a_test_has_55_characters() {
        let source = |length: usize| format!("#[test]\nfn {}() {{}}\n", "a".repeat(length));
        assert_eq!(rules("a.rs", &source(55)), []);
        assert_eq!(rules("a.rs", &source(56)), [(2, "test-name")]);
    }

    #[test]
    fn generated_files_are_mended_elsewhere() {
        assert_eq!(rules("a.h", "/* Made by `cargo xtask header`. Do not edit. */\n/* A desk. */\n"), []);
        assert_eq!(rules("a.h", "/* A desk. */\n"), [(1, "image")]);
    }

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
