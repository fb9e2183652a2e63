//! Definitions among the arguments of macros such as `bitflags!`, which syn does not parse.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use super::{DefinitionKind, DefinitionVisibility};

pub(crate) type NamedInMacro = (Ident, DefinitionKind, DefinitionVisibility);

/// The names that follow a keyword of an item.
pub(crate) fn named_in(tokens: TokenStream) -> Vec<NamedInMacro> {
    let mut found = Vec::new();
    search(tokens, false, &mut found);
    found
}

/// `associated`: the tokens stand in an `impl` or a trait.
fn search(tokens: TokenStream, associated: bool, found: &mut Vec<NamedInMacro>) {
    let mut keyword: Option<String> = None;
    let mut visibility = DefinitionVisibility::Private;
    let mut inside_impl = false;
    let mut parameter = false;
    for token in tokens {
        match token {
            // `$type` of a macro's rule is no keyword
            TokenTree::Ident(_) if parameter => {}
            TokenTree::Ident(name) => {
                let word = name.to_string();
                if let Some(kind) = keyword.take().and_then(|keyword| kind_of(&keyword, associated)) {
                    found.push((name, kind, visibility));
                }
                match word.as_str() {
                    "pub" => visibility = DefinitionVisibility::Public,
                    "impl" | "trait" => inside_impl = true,
                    "const" | "unsafe" | "async" | "extern" => {}
                    _ if kind_of(&word, associated).is_none() => visibility = DefinitionVisibility::Private,
                    _ => {}
                }
                keyword = Some(word);
                continue;
            }
            TokenTree::Group(group) => {
                let after_pub = keyword.as_deref() == Some("pub");
                if after_pub && group.delimiter() == Delimiter::Parenthesis {
                    visibility = DefinitionVisibility::Crate;
                } else {
                    let brace = group.delimiter() == Delimiter::Brace;
                    search(group.stream(), associated || (inside_impl && brace), found);
                    inside_impl &= !brace;
                }
            }
            TokenTree::Punct(mark) => {
                parameter = mark.as_char() == '$';
                keyword = None;
                continue;
            }
            TokenTree::Literal(_) => {}
        }
        (keyword, parameter) = (None, false);
    }
}

fn kind_of(keyword: &str, associated: bool) -> Option<DefinitionKind> {
    match keyword {
        "type" if associated => Some(DefinitionKind::AssociatedType),
        "struct" | "enum" | "union" | "trait" | "type" => Some(DefinitionKind::Type),
        "fn" => Some(DefinitionKind::Function),
        "const" | "static" => Some(DefinitionKind::Constant),
        _ => None,
    }
}
