//! The pieces of a page that name things of the repository: code spans, commands in code blocks, links.

use std::ops::Range;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::lines::LineTable;

/// A piece of a page.
#[derive(Debug, PartialEq)]
pub(crate) struct PageSpan {
    pub(crate) line: usize,
    pub(crate) kind: SpanKind,
    pub(crate) text: String,
}

/// The ways in which a page can name something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SpanKind {
    /// In backticks, or a whole text in a picture.
    Code,
    /// A line of a code block; only commands in it are looked at.
    CodeLine,
    /// The target of a link, relative to the page.
    Link,
}

/// The spans of a Markdown page. `citations`: brackets that are no links are proofs, which another check reads.
pub(crate) fn markdown_spans(text: &str, citations: bool) -> Vec<PageSpan> {
    let lines = LineTable::of(text);
    let resolve = |link: BrokenLink| Some((CowStr::from(link.reference.to_string()), CowStr::from("")));
    let parser = Parser::new_with_broken_link_callback(text, Options::ENABLE_TABLES, Some(resolve));
    let mut reader = SpanReader { lines, citations, ..SpanReader::default() };
    for (event, range) in parser.into_offset_iter() {
        reader.event(event, &range);
    }
    reader.found
}

#[derive(Default)]
struct SpanReader {
    lines: LineTable,
    citations: bool,
    found: Vec<PageSpan>,
    code_block: bool,
    citation: bool,
}

impl SpanReader {
    fn event(&mut self, event: Event, range: &Range<usize>) {
        let line = self.lines.line(range.start);
        match event {
            Event::Start(Tag::CodeBlock(_)) => self.code_block = true,
            Event::End(TagEnd::CodeBlock) => self.code_block = false,
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                let unresolved = matches!(
                    link_type,
                    LinkType::ShortcutUnknown | LinkType::ReferenceUnknown | LinkType::CollapsedUnknown
                );
                self.citation = self.citations && unresolved;
                if !unresolved {
                    self.add(line, SpanKind::Link, &dest_url);
                }
            }
            Event::End(TagEnd::Link) => self.citation = false,
            Event::Text(text) if self.code_block => {
                for (at, text) in text.lines().enumerate() {
                    self.add(line + at, SpanKind::CodeLine, text);
                }
            }
            Event::Code(code) if !self.citation => self.add(line, SpanKind::Code, &code),
            _ => {}
        }
    }

    fn add(&mut self, line: usize, kind: SpanKind, text: &str) {
        self.found.push(PageSpan { line, kind, text: text.to_owned() });
    }
}

/// The texts of an SVG picture that are code: one word alone, or a word with an underscore or brackets.
pub(crate) fn picture_spans(text: &str) -> Vec<PageSpan> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for piece in line.split("<text").skip(1) {
            let Some(inner) = piece.split_once('>').and_then(|(_, inner)| inner.split("</text").next())
            else {
                continue;
            };
            // the steps of a picture are numbered
            let inner = inner.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
            let words: Vec<&str> = inner.split_whitespace().collect();
            let code = |word: &&&str| words.len() == 1 || is_code(word);
            for word in words.iter().filter(code) {
                let text = word.trim_matches([',', ':', ';', '.']).to_owned();
                found.push(PageSpan { line: at + 1, kind: SpanKind::Code, text });
            }
        }
    }
    found
}

/// `css_set`, `answer()`, `EnginePolicy`, but not `Two`.
fn is_code(word: &str) -> bool {
    let humps = word.chars().zip(word.chars().skip(1)).filter(|(a, b)| a.is_lowercase() && b.is_uppercase());
    word.contains(['_', '(', '/']) || word.contains("::") || humps.count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_kind(text: &str, kind: SpanKind) -> Vec<(usize, String)> {
        let spans = markdown_spans(text, true).into_iter().filter(|span| span.kind == kind);
        spans.map(|span| (span.line, span.text)).collect()
    }

    #[test]
    fn spans_links_and_lines_of_code_have_their_lines() {
        let page = "a `b`\n`c d`\n\n```\ne\nf\n```\n\n[g](h.md)\n";
        assert_eq!(of_kind(page, SpanKind::Code), [(1, "b".to_owned()), (2, "c d".to_owned())]);
        assert_eq!(of_kind(page, SpanKind::CodeLine), [(5, "e".to_owned()), (6, "f".to_owned())]);
        assert_eq!(of_kind(page, SpanKind::Link), [(9, "h.md".to_owned())]);
    }

    #[test]
    fn proofs_are_left_to_their_own_check() {
        assert_eq!(of_kind("* a `b`. [`c`, model]\n", SpanKind::Code), [(1, "b".to_owned())]);
        assert_eq!(markdown_spans("[`c`, model]", false).len(), 1);
    }

    #[test]
    fn text_of_a_picture_is_code_if_it_looks_like_it() {
        let picture = "<text x=\"1\">Engine</text>\n<text>4  charge_fork</text>\n<text>The way of EnginePolicy, a task</text>";
        let found: Vec<_> = picture_spans(picture).into_iter().map(|span| (span.line, span.text)).collect();
        let expected = [(1, "Engine"), (2, "charge_fork"), (3, "EnginePolicy")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
