//! The strings of a Rust file that a user may read.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Fewer words than this are a name or a format.
const SHORTEST_MESSAGE: usize = 3;

/// Each string of several words with its line. Attributes are left out, other than those of errors, and tests.
///
/// # Errors
/// The text is not Rust.
pub(super) fn messages(source: &str) -> Result<Vec<(usize, String)>, String> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{error}"))?;
    let mut found = Vec::new();
    search(tokens, &mut found);
    Ok(found)
}

fn search(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut attribute = false;
    let mut test = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if attribute && group.delimiter() == Delimiter::Bracket => {
                let mut inside = group.stream().into_iter();
                let name = inside.next().map(|name| name.to_string()).unwrap_or_default();
                test |= name == "test"
                    || (name == "cfg" && inside.next().is_some_and(|cfg| cfg.to_string() == "(test)"));
                if name == "error" {
                    search(group.stream(), found);
                }
            }
            TokenTree::Group(group) => {
                let body = group.delimiter() == Delimiter::Brace;
                if !(test && body) {
                    search(group.stream(), found);
                }
                test &= !body;
            }
            TokenTree::Literal(literal) => {
                if let Some(text) = text(&literal.to_string()) {
                    found.push((literal.span().start().line, text));
                }
            }
            TokenTree::Punct(mark) => {
                test &= mark.as_char() != ';';
                // `#![…]` as well
                attribute = mark.as_char() == '#' || (attribute && mark.as_char() == '!');
                continue;
            }
            TokenTree::Ident(_) => {}
        }
        attribute = false;
    }
}

/// The content of a string of several words.
fn text(literal: &str) -> Option<String> {
    let inner = literal.trim_start_matches('r').trim_matches('#').strip_prefix('"')?.strip_suffix('"')?;
    // a line that goes on, and the ends of lines
    let text = inner.replace("\\\n", " ").replace("\\n", " ");
    (text.split_whitespace().count() >= SHORTEST_MESSAGE).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        messages(source).unwrap().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn strings_of_several_words_are_messages() {
        assert_eq!(
            texts("fn f() { g(\"a b c\", \"a b\", r#\"d e f\"#, b\"x y z\", 'x') }"),
            ["a b c", "d e f"]
        );
        assert_eq!(texts("#[error(\"a b {c}\")] struct S;"), ["a b {c}"]);
    }

    #[test]
    fn documentation_attributes_and_tests_are_none() {
        assert_eq!(texts("/// a b c\n#[arg(help = \"a b c\")] struct S; //! d e f"), [""; 0]);
        assert_eq!(
            texts("#[cfg(test)] mod tests { const A: &str = \"a b c\"; } #[test] fn f() { g(\"a b c\") }"),
            [""; 0]
        );
        assert_eq!(texts("#[cfg(test)] mod tests; const A: &str = \"a b c\";"), ["a b c"]);
    }

    #[test]
    fn text_goes_on_behind_a_backslash() {
        assert_eq!(
            texts("const A: &str = \"a b \\\n    c\\nd\";")[0].split_whitespace().collect::<Vec<_>>(),
            ["a", "b", "c", "d"]
        );
    }
}
