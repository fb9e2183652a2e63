//! The names of the test functions of a Rust file.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Each test function with its line, also those inside of a macro such as `proptest!`.
///
/// # Errors
/// The text is not Rust.
pub(crate) fn test_functions(source: &str) -> Result<Vec<(usize, String)>, String> {
    let tokens: TokenStream = source.parse().map_err(|error| format!("{error}"))?;
    let mut found = Vec::new();
    search(tokens, &mut found);
    Ok(found)
}

fn search(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut test = false;
    let mut before = String::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if before == "#" && group.delimiter() == Delimiter::Bracket => {
                test |= is_test(group.stream());
            }
            TokenTree::Group(group) => {
                // the body of the function, or another item
                test &= group.delimiter() != Delimiter::Brace;
                search(group.stream(), found);
            }
            TokenTree::Ident(name) => {
                if test && before == "fn" {
                    found.push((name.span().start().line, name.to_string()));
                    test = false;
                }
                before = name.to_string();
                continue;
            }
            TokenTree::Punct(mark) => {
                test &= mark.as_char() != ';';
                before = mark.as_char().to_string();
                continue;
            }
            TokenTree::Literal(_) => {}
        }
        before.clear();
    }
}

/// `test`, `some::test` and `test(…)`.
fn is_test(attribute: TokenStream) -> bool {
    let path = attribute.into_iter().take_while(|token| !matches!(token, TokenTree::Group(_)));
    path.last().is_some_and(|token| token.to_string() == "test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        test_functions(source).unwrap().into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn tests_are_found_in_modules_and_macros() {
        assert_eq!(names("mod tests { #[test] fn a() {} fn b() {} }"), ["a"]);
        assert_eq!(names("proptest! { #![config(x)] #[test] fn a(x in 0..1) {} }"), ["a"]);
        assert_eq!(
            names("#[test] #[ignore = \"slow\"] pub(crate) fn a() {} #[tokio::test] fn b() {}"),
            ["a", "b"]
        );
    }

    #[test]
    fn other_functions_are_none() {
        assert_eq!(names("#[cfg(test)] fn a() {} #[cfg(test)] mod tests; fn b() {}"), [""; 0]);
        assert_eq!(names("#[test] const X: u8 = 1; fn a() {}"), [""; 0]);
        assert_eq!(names("#[derive(Debug)] struct S; fn test() {}"), [""; 0]);
    }

    #[test]
    fn line_is_that_of_the_name() {
        assert_eq!(test_functions("\n#[test]\nfn a() {}\n").unwrap(), [(3, "a".to_owned())]);
    }
}
