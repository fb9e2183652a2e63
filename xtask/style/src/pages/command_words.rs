//! The verbs and options of `penfold`, and the chores of `cargo xtask`, as their sources have them.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Meta};

/// Words of command lines.
#[derive(Debug, Default)]
pub(crate) struct CommandWords {
    pub(crate) verbs: BTreeSet<String>,
    /// Long options without their dashes.
    pub(crate) options: BTreeSet<String>,
    pub(crate) chores: BTreeSet<String>,
}

impl CommandWords {
    /// Adds the verbs and options that a file of the program derives with clap.
    ///
    /// # Errors
    /// The text is not Rust.
    pub(crate) fn add_program(&mut self, source: &str) -> Result<(), String> {
        self.visit_file(&syn::parse_file(source).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Adds the chores that the usage of `cargo xtask` lists.
    pub(crate) fn add_chores(&mut self, source: &str) {
        let usage =
            source.split("const USAGE").nth(1).and_then(|rest| rest.split("\";").next()).unwrap_or("");
        let chores = usage.lines().filter_map(|line| line.strip_prefix("  ")?.split([' ', ':']).next());
        self.chores.extend(chores.filter(|chore| !chore.is_empty()).map(str::to_owned));
    }
}

impl<'ast> Visit<'ast> for CommandWords {
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if derives(&item.attrs, "Subcommand") {
            for variant in &item.variants {
                self.verbs.insert(kebab_case(&variant.ident.to_string()));
                let aliases = settings(&variant.attrs, "command", "visible_alias");
                self.verbs.extend(aliases.into_iter().filter_map(|alias| alias.value));
            }
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        for long in settings(&field.attrs, "arg", "long") {
            self.options.insert(long.value.unwrap_or_else(|| kebab_case(name.trim_start_matches("r#"))));
        }
        visit::visit_field(self, field);
    }
}

fn derives(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.tokens.clone().into_iter().any(|token| token.to_string() == name)
    })
}

/// A setting of an attribute: `key`, or `key = "value"`.
struct AttributeSetting {
    value: Option<String>,
}

/// The settings of a key in the attributes of a name.
fn settings(attributes: &[Attribute], name: &str, key: &str) -> Vec<AttributeSetting> {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident(name));
    let tokens = lists.filter_map(|attribute| match &attribute.meta {
        Meta::List(list) => Some(list.tokens.clone()),
        _ => None,
    });
    tokens.filter_map(|tokens| setting(tokens, key)).collect()
}

fn setting(tokens: TokenStream, key: &str) -> Option<AttributeSetting> {
    let mut tokens =
        tokens.into_iter().skip_while(|token| !matches!(token, TokenTree::Ident(name) if name == key));
    tokens.next()?;
    let value = match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Punct(mark)), Some(TokenTree::Literal(value))) if mark.as_char() == '=' => {
            Some(value.to_string().trim_matches('"').to_owned())
        }
        _ => None,
    };
    Some(AttributeSetting { value })
}

/// `InstallHelpers` and `at_end` as clap writes them.
fn kebab_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_options_are_those_that_clap_makes() {
        let source = "
            #[derive(Debug, Subcommand)] enum Verb { InstallHelpers(A), #[command(visible_alias = \"get\")] Cat(B) }
            enum Other { No }
            struct A { #[arg(short, long, value_name = \"X\")] at_end: u8, #[arg(long = \"in\")] address: u8, no: u8 }";
        let mut words = CommandWords::default();
        words.add_program(source).unwrap();
        assert_eq!(words.verbs, ["cat", "get", "install-helpers"].map(str::to_owned).into());
        assert_eq!(words.options, ["at-end", "in"].map(str::to_owned).into());
    }

    #[test]
    fn chores_are_the_lines_of_the_usage() {
        let mut words = CommandWords::default();
        words.add_chores("const USAGE: &str = \"\\\ncargo xtask CHORE\n  test  [X]: a\n          more\n  ci   b\";\n  no\n");
        assert_eq!(words.chores, ["ci", "test"].map(str::to_owned).into());
    }
}
