//! The findings in one file.

use std::path::Path;

use super::messages::messages;
use super::phrases::{PhraseRule, RULES, place};
use super::prose::{Passage, PassageKind, Word, passages};
use super::sentences::{count, sentences};
use super::tests_of_file::test_functions;
use crate::comments::{SourceLanguage, comments};

/// The most words that a sentence may have.
const LONGEST_SENTENCE: usize = 25;

/// The most characters that the name of a test may have.
const LONGEST_TEST_NAME: usize = 55;

/// How many words of a sentence a finding shows.
const SHOWN_WORDS: usize = 12;

/// Something that a rule found.
#[derive(Debug, PartialEq)]
pub(super) struct WordFinding {
    pub(super) line: usize,
    pub(super) rule: &'static str,
    pub(super) shown: String,
}

/// A kind of file with prose.
enum ProseFile {
    Page,
    Source(SourceLanguage),
}

impl ProseFile {
    fn of(path: &str) -> Option<ProseFile> {
        // a template of a source, such as lib.rs.in
        let name = path.strip_suffix(".in").unwrap_or(path);
        match Path::new(name).extension()?.to_str()? {
            "md" => Some(ProseFile::Page),
            "rs" => Some(ProseFile::Source(SourceLanguage::Rust)),
            "c" | "h" => Some(ProseFile::Source(SourceLanguage::C)),
            "varlink" | "toml" => Some(ProseFile::Source(SourceLanguage::Hash)),
            _ => None,
        }
    }
}

pub(super) fn has_prose(path: &str) -> bool {
    ProseFile::of(path).is_some()
}

/// All findings in a file in the order of their lines.
///
/// # Errors
/// The text of a Rust file is not Rust.
pub(super) fn findings(path: &str, text: &str) -> Result<Vec<WordFinding>, String> {
    let language = match ProseFile::of(path) {
        None => return Ok(Vec::new()),
        Some(ProseFile::Page) => return Ok(in_prose(text, 1, true, path.ends_with("SPECIFICATION.md"))),
        Some(ProseFile::Source(language)) => language,
    };
    // a generated file is mended at its source
    if text.lines().take(5).any(|line| line.to_lowercase().contains("do not edit")) {
        return Ok(Vec::new());
    }
    let blocks = comments(text, language);
    let mut found: Vec<WordFinding> = blocks
        .iter()
        .flat_map(|block| in_prose(&block.text, block.line, block.kind.is_documentation(), false))
        .collect();
    // a template has gaps that are no Rust
    if language == SourceLanguage::Rust && Path::new(path).extension().is_some_and(|end| end == "rs") {
        let failed = |error| format!("{path}: {error}");
        found.extend(test_functions(text).map_err(failed)?.into_iter().filter_map(long_name));
        if is_product(path) {
            found.extend(
                messages(text).map_err(failed)?.iter().flat_map(|(line, message)| in_message(*line, message)),
            );
        }
        found.sort_by_key(|finding| finding.line);
    }
    Ok(found)
}

/// Whether the strings of a file are read by users.
fn is_product(path: &str) -> bool {
    (path.starts_with("crates/") || path.starts_with("modules/"))
        && path.contains("/src/")
        && !path.ends_with("/tests.rs")
}

fn long_name((line, name): (usize, String)) -> Option<WordFinding> {
    let length = name.chars().count();
    let shown = format!("{length} characters: {name}");
    (length > LONGEST_TEST_NAME).then_some(WordFinding { line, rule: "test-name", shown })
}

fn in_message(line: usize, message: &str) -> Vec<WordFinding> {
    let word = |text: &str| Word { text: text.to_owned(), line, code: text.contains(['{', '`']) };
    let words: Vec<Word> = message.split_whitespace().map(word).collect();
    let mut found = Vec::new();
    for sentence in sentences(&words) {
        in_sentence(sentence, RULES.iter(), false, &mut found);
    }
    for finding in &mut found {
        finding.shown.insert_str(0, "message: ");
    }
    found
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
    let text = passage.kind == PassageKind::Text;
    for (at, sentence) in sentences(&passage.words).into_iter().enumerate() {
        let words = count(sentence);
        if text && words > LONGEST_SENTENCE {
            let shown = format!("{words} words: {}", shown(sentence, 0));
            found.push(WordFinding { line: sentence[0].line, rule: "long", shown });
        }
        // a title may be a question without its mark
        let rules = RULES.iter().filter(|rule| text || rule.name == "image");
        in_sentence(sentence, rules, first && at == 0, found);
    }
}

fn in_sentence<'a>(
    sentence: &[Word],
    rules: impl Iterator<Item = &'a PhraseRule>,
    first: bool,
    found: &mut Vec<WordFinding>,
) {
    for rule in rules {
        if let Some(place) = place(rule, sentence, first) {
            let shown = shown(sentence, place);
            found.push(WordFinding { line: sentence[place].line, rule: rule.name, shown });
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
    fn messages_are_read_in_what_users_run() {
        let source = "fn f() { fail(\"the task is told of it\") }";
        assert_eq!(rules("crates/core/src/a.rs", source), [(1, "told")]);
        assert_eq!(rules("crates/core/tests/a.rs", source), []);
    }

    #[test]
    fn templates_and_descriptions_have_comments() {
        assert_eq!(rules("a/lib.rs.in", "// A desk of @NAME@'s.\n"), [(1, "image")]);
        assert_eq!(
            rules("a.varlink", "# A desk.\ntype A (\n  # a\n  # desk\n)\n"),
            [(1, "image"), (4, "image")]
        );
        assert_eq!(rules("a.png", "# A desk."), []);
    }
}
