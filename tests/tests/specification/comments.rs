//! The prose of a file, line by line: of code its comments, of a page everything but code.

/// How a language marks strings and comments.
#[derive(Clone, Copy, PartialEq)]
enum ProseLanguage {
    Rust,
    C,
    Toml,
}

/// Number and text of every line with prose. Code between backticks and in fences is left out.
pub(crate) fn prose(path: &str, text: &str) -> Vec<(usize, String)> {
    let extension = path.rsplit('.').next().unwrap_or_default();
    let lines = match extension {
        "rs" => comments(text, ProseLanguage::Rust),
        "c" | "h" => comments(text, ProseLanguage::C),
        "toml" => comments(text, ProseLanguage::Toml),
        _ => text.lines().enumerate().map(|(index, line)| (index + 1, line.to_owned())).collect(),
    };
    let mut fenced = false;
    let mut prose = Vec::new();
    for (number, line) in lines {
        if line.trim_start_matches(['/', '!', '*', ' ']).starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push((number, without_code(&line)));
        }
    }
    prose
}

/// The line with a space for each piece of code, each target of a link and each address.
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].find(|c| c != '`').unwrap_or(rest.len() - at);
        let fence = &rest[at..at + ticks];
        let Some(end) = rest[at + ticks..].find(fence) else { break };
        out.push_str(&rest[..at]);
        out.push(' ');
        rest = &rest[at + ticks + end + ticks..];
    }
    out.push_str(rest);
    while let Some(at) = out.find("](") {
        let end = out[at..].find(')').map_or(out.len(), |end| at + end + 1);
        out.replace_range(at..end, "] ");
    }
    let words = out.split(' ').map(|word| if word.contains("://") { "" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Number and text of every line of a comment.
fn comments(text: &str, language: ProseLanguage) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = match comment_length(rest, language) {
            Some(length) => {
                let lines = rest[..length].lines().enumerate();
                found.extend(lines.map(|(index, text)| (line + index, text.to_owned())));
                length
            }
            None => literal_length(rest, language).unwrap_or(first.len_utf8()),
        };
        line += rest[..length].matches('\n').count();
        // a name that ends in r or b does not begin a raw string, so it is skipped as a whole
        let word = rest[length..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
        let in_word = length == first.len_utf8() && (first.is_alphanumeric() || first == '_');
        rest = &rest[length + if in_word { word } else { 0 }..];
    }
    found
}

fn comment_length(rest: &str, language: ProseLanguage) -> Option<usize> {
    let to_line_end = || rest.find('\n').unwrap_or(rest.len());
    match language {
        ProseLanguage::Toml => rest.starts_with('#').then(to_line_end),
        _ if rest.starts_with("//") => Some(to_line_end()),
        _ if rest.starts_with("/*") => Some(block_length(rest, language == ProseLanguage::Rust)),
        _ => None,
    }
}

fn block_length(rest: &str, nested: bool) -> usize {
    let (mut depth, mut at) = (1, 2);
    while depth > 0 && at < rest.len() {
        if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else if nested && rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a string or character at the beginning of the text, which is no place for a comment.
fn literal_length(rest: &str, language: ProseLanguage) -> Option<usize> {
    let quoted = |start: usize, quote: char| {
        let mut escaped = false;
        let end = rest[start..].find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        end.map_or(rest.len(), |end| start + end + 1)
    };
    if language == ProseLanguage::Rust {
        let raw =
            rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).or_else(|| rest.strip_prefix("cr"));
        if let Some(raw) = raw {
            let hashes = raw.find(|c| c != '#').unwrap_or(raw.len());
            if raw[hashes..].starts_with('"') {
                let start = rest.len() - raw.len() + hashes + 1;
                let end = format!("\"{}", &raw[..hashes]);
                return Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()));
            }
        }
        if let Some(inner) = rest.strip_prefix('\'') {
            // a character, not a lifetime
            let escaped = inner.starts_with('\\');
            let closed = inner.chars().nth(1) == Some('\'');
            return (escaped || closed).then(|| quoted(1, '\''));
        }
    }
    match rest.chars().next()? {
        '"' if language == ProseLanguage::Toml && rest.starts_with("\"\"\"") => {
            Some(rest[3..].find("\"\"\"").map_or(rest.len(), |end| end + 6))
        }
        '"' => Some(quoted(1, '"')),
        '\'' if language == ProseLanguage::Toml => {
            Some(rest[1..].find('\'').map_or(rest.len(), |end| end + 2))
        }
        '\'' => Some(quoted(1, '\'')),
        _ => None,
    }
}

#[cfg(test)]
fn of(path: &str, text: &str) -> Vec<String> {
    prose(path, text).into_iter().map(|(number, line)| format!("{number}:{}", line.trim())).collect()
}

#[test]
fn comments_of_rust_are_found() {
    let source = r##"//! one
let a = "// no"; // two
let b = r#"a " // no"#; /* three /* nested */
four */ let c = '"'; // five
fn f<'a>(x: &'a str) {} // six
let d = b"// no \" no"; let e = '\''; // seven
let attr = r"\"; // eight
/// A1 `B2` A3
/// ```
/// B4
/// ```
/// A5"##;
    let expected = [
        "1://! one",
        "2:// two",
        "3:/* three /* nested */",
        "4:four */",
        "4:// five",
        "5:// six",
        "6:// seven",
        "7:// eight",
        "8:/// A1   A3",
        "12:/// A5",
    ];
    assert_eq!(of("a.rs", source), expected);
}

#[test]
fn comments_of_c_and_toml_are_found() {
    let c = "/* one\n * two */ char *a = \"/* no */\"; char b = '\"'; // three\n";
    assert_eq!(of("a.h", c), ["1:/* one", "2:* two */", "2:// three"]);
    let toml = "a = \"# no\" # one\nb = '# no' # two\nc = \"\"\"\n# no\n\"\"\" # three\n";
    assert_eq!(of("a.toml", toml), ["1:# one", "2:# two", "5:# three"]);
}

#[test]
fn code_of_a_page_is_left_out() {
    let page = "One `A1` two [B2](c.md#b3).\n```\nA4\n```\n  ```sh\n  A5\n  ```\nhttps://example.org/#A6 end";
    assert_eq!(of("a.md", page), ["1:One   two [B2] .", "8:end"]);
}
