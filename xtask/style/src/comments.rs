//! The comments of Rust and C files, each block with the lines on which it stands.

/// The rules of a language that separate comments from strings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SourceLanguage {
    Rust,
    C,
    /// TOML, varlink: lines that begin with `#`.
    Hash,
}

/// For whom a comment is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CommentKind {
    /// Documentation of the item that follows: `///`, `/** */`.
    Outer,
    /// Documentation of the enclosing module: `//!`, `/*! */`.
    Inner,
    Plain,
}

impl CommentKind {
    pub(crate) fn is_documentation(self) -> bool {
        self != CommentKind::Plain
    }
}

/// Comment lines that belong together, without their marks.
#[derive(Debug, PartialEq)]
pub(crate) struct CommentBlock {
    pub(crate) kind: CommentKind,
    /// The line of the file, from 1, of the first line of the text.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// All comments of a file in their order. Line comments of one kind on lines that follow each other are one block.
pub(crate) fn comments(source: &str, language: SourceLanguage) -> Vec<CommentBlock> {
    if language == SourceLanguage::Hash {
        return joined(hash_comments(source));
    }
    let mut scanner = CommentScanner { rest: source, line: 1, own_line: true, language, found: Vec::new() };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    joined(scanner.found)
}

/// Comments that have a line for themselves.
fn hash_comments(source: &str) -> Vec<RawComment> {
    let comment = |(at, line): (usize, &str)| {
        let text = line.trim().strip_prefix('#')?;
        let text = text.strip_prefix(' ').unwrap_or(text).to_owned();
        Some(RawComment {
            block: CommentBlock { kind: CommentKind::Plain, line: at + 1, text },
            own_line: true,
        })
    };
    source.lines().enumerate().filter_map(comment).collect()
}

/// One comment as it stands in the file.
struct RawComment {
    block: CommentBlock,
    /// A line comment with nothing before it on its line.
    own_line: bool,
}

struct CommentScanner<'a> {
    rest: &'a str,
    line: usize,
    /// Only white space has been seen on this line.
    own_line: bool,
    language: SourceLanguage,
    found: Vec<RawComment>,
}

impl<'a> CommentScanner<'a> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.line_comment();
        } else if rest.starts_with("/*") {
            self.block_comment();
        } else if let Some(length) = literal(rest, self.language) {
            self.own_line = false;
            self.take(length);
        } else {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let first = rest.chars().next().map_or(0, char::len_utf8);
            self.own_line &= rest.starts_with(char::is_whitespace);
            self.take(word.max(first));
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        let lines = taken.matches('\n').count();
        self.line += lines;
        self.own_line |= lines > 0 && taken.trim().is_empty();
        self.rest = rest;
        taken
    }

    fn line_comment(&mut self) {
        let (line, own_line) = (self.line, self.own_line);
        let text = self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        let (kind, mark) = match text.as_bytes() {
            [_, _, b'/', b'/', ..] => (CommentKind::Plain, text.len() - text.trim_start_matches('/').len()),
            [_, _, b'/', ..] => (CommentKind::Outer, 3),
            [_, _, b'!', ..] => (CommentKind::Inner, 3),
            _ => (CommentKind::Plain, 2),
        };
        let text = &text[mark..];
        let text = text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned();
        self.found.push(RawComment { block: CommentBlock { kind, line, text }, own_line });
    }

    fn block_comment(&mut self) {
        let line = self.line;
        let whole = self.take(block_length(self.rest, self.language));
        let (kind, mark) = match whole.as_bytes() {
            [_, _, b'*', b'*' | b'/', ..] => (CommentKind::Plain, 2),
            [_, _, b'*', ..] => (CommentKind::Outer, 3),
            [_, _, b'!', ..] => (CommentKind::Inner, 3),
            _ => (CommentKind::Plain, 2),
        };
        let text = whole[mark..].strip_suffix("*/").unwrap_or(&whole[mark..]);
        let text = text.lines().map(without_star).collect::<Vec<_>>().join("\n");
        self.found.push(RawComment { block: CommentBlock { kind, line, text }, own_line: false });
    }
}

/// A line of a block comment without the star that leads it.
fn without_star(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix('*').unwrap_or(line);
    line.strip_prefix(' ').unwrap_or(line)
}

/// The length of the block comment at the start of the text. Those of Rust contain each other.
fn block_length(text: &str, language: SourceLanguage) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") && (depth == 0 || language == SourceLanguage::Rust) {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string or character at the start of the text, if one is there.
fn literal(text: &str, language: SourceLanguage) -> Option<usize> {
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    match language {
        SourceLanguage::C => text.starts_with('\'').then(|| quoted(text, '\'')),
        SourceLanguage::Rust => raw_string(text).or_else(|| character(text)),
        SourceLanguage::Hash => None,
    }
}

/// The length of a text in quotes; a quote behind a backslash does not end it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// `r"…"`, `br#"…"#`, `c"…"` and so on.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let after = &text[prefix.len()..];
    let marks = after.len() - after.trim_start_matches('#').len();
    let inner = after[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(prefix.len() + marks + 1 + length)
}

/// `'x'` or `'\n'`, but not the lifetime `'x`.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return Some(quoted(text, '\''));
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

fn joined(found: Vec<RawComment>) -> Vec<CommentBlock> {
    let mut blocks: Vec<CommentBlock> = Vec::new();
    // the line after the last one of a block that may go on
    let mut next = 0;
    for RawComment { block, own_line } in found {
        let line = block.line;
        match blocks.last_mut() {
            Some(last) if own_line && next == line && last.kind == block.kind => {
                last.text.push('\n');
                last.text.push_str(&block.text);
            }
            _ => blocks.push(block),
        }
        next = if own_line { line + 1 } else { 0 };
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::CommentKind::{Inner, Outer, Plain};
    use super::*;

    fn found(source: &str, language: SourceLanguage) -> Vec<(usize, String)> {
        comments(source, language).into_iter().map(|block| (block.line, block.text)).collect()
    }

    fn rust(source: &str) -> Vec<(usize, String)> {
        found(source, SourceLanguage::Rust)
    }

    fn block(line: usize, text: &str) -> (usize, String) {
        (line, text.to_owned())
    }

    #[test]
    fn lines_that_follow_each_other_are_one_block() {
        assert_eq!(rust("// a\n// b\n\n// c\n"), [block(1, "a\nb"), block(4, "c")]);
        assert_eq!(rust("/// a\n//! b\n// c"), [block(1, "a"), block(2, "b"), block(3, "c")]);
        assert_eq!(
            rust("f(); // a\n// b\ng(); // c\n// d"),
            [block(1, "a"), block(2, "b"), block(3, "c"), block(4, "d")]
        );
    }

    #[test]
    fn kind_follows_from_the_mark() {
        let kinds: Vec<CommentKind> =
            comments("//! a\n/// b\n// c\n//// d\n/** e */ /*! f */ /* g */", SourceLanguage::Rust)
                .iter()
                .map(|block| block.kind)
                .collect();
        assert_eq!(kinds, [Inner, Outer, Plain, Outer, Inner, Plain]);
    }

    #[test]
    fn strings_and_characters_are_no_comments() {
        for source in [
            r#"f("// no \" // no")"#,
            r##"r#"// no " // no"#"##,
            r"'\'' b'/' '/' '\\'",
            "br\"\\\" c\"//\" \"a\nb\"",
        ] {
            let source = format!("{source} // yes");
            assert_eq!(rust(&source).last().unwrap().1, "yes", "{source}");
            assert_eq!(rust(&source).len(), 1, "{source}");
        }
    }

    #[test]
    fn lifetimes_and_raw_names_begin_no_string() {
        assert_eq!(rust("fn f<'a>(x: &'a str) {} // yes '"), [block(1, "yes '")]);
        assert_eq!(rust("let r#type = bar; // yes"), [block(1, "yes")]);
    }

    #[test]
    fn block_comments_lose_their_stars() {
        assert_eq!(
            found("/* a\n * b */\nint x; /* c */", SourceLanguage::C),
            [block(1, "a\nb"), block(3, "c")]
        );
        assert_eq!(rust("/* a /* b */ c */ // d").len(), 2);
        assert_eq!(found("/* a /* b */ // d", SourceLanguage::C).len(), 2);
        assert_eq!(found("char a = '\"'; // yes", SourceLanguage::C), [block(1, "yes")]);
    }

    #[test]
    fn hash_begins_a_comment_only_at_the_start_of_a_line() {
        let found = found("# a\n# b\nx = 1 # no\n  # c", SourceLanguage::Hash);
        assert_eq!(found, [block(1, "a\nb"), block(4, "c")]);
    }

    #[test]
    fn lines_are_counted_through_strings_and_blocks() {
        assert_eq!(rust("f(\"a\n\n\");\n/*\n*/\n// yes").last().unwrap(), &block(6, "yes"));
    }
}
