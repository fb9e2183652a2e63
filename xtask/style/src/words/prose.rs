//! From Markdown to its prose: paragraphs, list items, headings and cells as words, each with its line.

use std::ops::Range;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::lines::LineTable;

/// The part that a passage has in its page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PassageKind {
    /// Also the head of a column.
    Heading,
    /// A paragraph, a list item or a cell of a table.
    Text,
}

/// Words that no sentence crosses the end of.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) kind: PassageKind,
    pub(crate) words: Vec<Word>,
}

/// A word with its marks, as it stands between two spaces.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// The line in the text, from 1.
    pub(crate) line: usize,
    /// The word is or contains a code span, which counts as one word however long it is.
    pub(crate) code: bool,
}

/// The passages of a text in their order. Code blocks and HTML are left out. So are, with `citations`, brackets that are no
/// links: the proofs of a promise.
pub(crate) fn passages(text: &str, citations: bool) -> Vec<Passage> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
    let resolve = |link: BrokenLink| Some((CowStr::from(link.reference.to_string()), CowStr::from("")));
    let parser = Parser::new_with_broken_link_callback(text, options, Some(resolve));
    let mut reader = PassageReader { lines: LineTable::of(text), citations, ..PassageReader::default() };
    for (event, range) in parser.into_offset_iter() {
        reader.event(event, &range);
    }
    reader.flush();
    reader.found
}

#[derive(Default)]
struct PassageReader {
    lines: LineTable,
    citations: bool,
    found: Vec<Passage>,
    heading: bool,
    words: Vec<Word>,
    /// The last word of `words` goes on.
    open: bool,
    /// How many code blocks, pieces of HTML and citations are open.
    left_out: usize,
    /// The open links, and whether each is a citation.
    links: Vec<bool>,
}

impl PassageReader {
    fn event(&mut self, event: Event, range: &Range<usize>) {
        match event {
            Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::MetadataBlock(_)) => {
                self.flush();
                self.left_out += 1;
            }
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_)) => {
                self.left_out -= 1;
            }
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            _ if self.left_out > 0 => {}
            Event::Text(text) => self.text(&text, self.lines.line(range.start)),
            Event::Code(code) => self.code(&code, self.lines.line(range.start)),
            Event::SoftBreak | Event::HardBreak => self.open = false,
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag) {
        match tag {
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Image { .. } => {}
            Tag::Link { link_type, .. } => {
                let citation = self.citations && *link_type == LinkType::ShortcutUnknown;
                self.links.push(citation);
                self.left_out += usize::from(citation);
            }
            Tag::Heading { .. } | Tag::TableHead => {
                self.flush();
                self.heading = true;
            }
            _ => self.flush(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Image => {}
            TagEnd::Heading(_) | TagEnd::TableHead => {
                self.flush();
                self.heading = false;
            }
            TagEnd::Link => self.left_out -= usize::from(self.links.pop().unwrap_or(false)),
            _ => self.flush(),
        }
    }

    fn text(&mut self, text: &str, line: usize) {
        for (at, part) in text.split(char::is_whitespace).enumerate() {
            self.open &= at == 0;
            if !part.is_empty() {
                self.push(part, line, false);
            }
        }
        self.open &= !text.ends_with(char::is_whitespace);
    }

    fn code(&mut self, code: &str, line: usize) {
        self.push(&format!("`{}`", code.replace(char::is_whitespace, "\u{a0}")), line, true);
    }

    fn push(&mut self, part: &str, line: usize, code: bool) {
        match self.words.last_mut() {
            Some(last) if self.open => {
                last.text.push_str(part);
                last.code |= code;
            }
            _ => self.words.push(Word { text: part.to_owned(), line, code }),
        }
        self.open = true;
    }

    fn flush(&mut self) {
        let kind = if self.heading { PassageKind::Heading } else { PassageKind::Text };
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            self.found.push(Passage { kind, words });
        }
        self.open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let words = |passage: Passage| passage.words.into_iter().map(|word| word.text).collect::<Vec<_>>();
        passages(text, false).into_iter().map(|passage| words(passage).join(" ")).collect()
    }

    #[test]
    fn list_items_and_cells_are_passages_of_their_own() {
        assert_eq!(texts("a\nb\n\n* c\n* d\n  e\n\n1. f\n"), ["a b", "c", "d e", "f"]);
        assert_eq!(texts("| a | b |\n|---|---|\n| c d | e |\n"), ["a", "b", "c d", "e"]);
        assert_eq!(texts("* a\n\n  b\n"), ["a", "b"]);
    }

    #[test]
    fn code_span_is_one_word_with_what_touches_it() {
        let passages = passages("the (`a b. c`), *not* `d`'s", false);
        let words: Vec<_> = passages[0].words.iter().map(|word| (word.text.as_str(), word.code)).collect();
        assert_eq!(words, [("the", false), ("(`a\u{a0}b.\u{a0}c`),", true), ("not", false), ("`d`'s", true)]);
    }

    #[test]
    fn code_blocks_and_html_are_left_out() {
        assert_eq!(texts("a\n\n```\nno\n```\n\n    no\n\n<p>no</p>\n\nb <br> c"), ["a", "b c"]);
    }

    #[test]
    fn links_keep_their_text_also_without_a_target() {
        assert_eq!(texts("[a b](c.md), [`d`], [e f](g::h) and [i][j]"), ["a b, `d`, e f and i"]);
    }

    #[test]
    fn citations_are_left_out_where_wanted() {
        let promise = "* **P1** It holds. [recorded:a, `b`, model]\n";
        assert_eq!(passages(promise, true)[0].words.len(), 3);
        assert_eq!(passages(promise, false)[0].words.len(), 6);
    }

    #[test]
    fn headings_and_lines_are_known() {
        let passages = passages("# a\n\nb\nc `d`\n", false);
        let kinds: Vec<_> = passages.iter().map(|passage| passage.kind).collect();
        assert_eq!(kinds, [PassageKind::Heading, PassageKind::Text]);
        let table = super::passages("| a | b |\n|---|---|\n| c | d |\n", false);
        let heads = table.iter().filter(|passage| passage.kind == PassageKind::Heading).count();
        assert_eq!(heads, 2);
        let lines: Vec<_> =
            passages.iter().flat_map(|passage| &passage.words).map(|word| word.line).collect();
        assert_eq!(lines, [1, 3, 4, 4]);
    }
}
