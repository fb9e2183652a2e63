//! The modules of one crate: the items that each declares, its imports, and the paths in its code.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, ForeignItem, Item, ItemMod, ItemUse, UseTree, Visibility};

/// A module, in a file of its own or inside another file.
#[derive(Default)]
pub(crate) struct ParsedModule {
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// The names of the items that the module defines.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// The paths in its code.
    pub(crate) paths: BTreeSet<Vec<String>>,
}

/// One name of a `use`.
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// The name in this module; `None` for `path::*`.
    pub(crate) name: Option<String>,
    /// True for `pub use` and for `pub(…) use`.
    pub(crate) reexport: bool,
}

/// The modules of a crate, the root first.
///
/// # Errors
/// Names a file that does not parse, or a `mod` without a file.
pub(crate) fn modules(files: &BTreeMap<String, String>, root: &str) -> Result<Vec<ParsedModule>, String> {
    let mut reader = ModuleReader { files, modules: Vec::new(), at: 0, below: String::new(), failed: None };
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    reader.file(root, folder, None)?;
    Ok(reader.modules)
}

struct ModuleReader<'a> {
    files: &'a BTreeMap<String, String>,
    modules: Vec<ParsedModule>,
    /// The module that is being read.
    at: usize,
    /// The folder that has the files of its `mod x;`.
    below: String,
    failed: Option<String>,
}

impl ModuleReader<'_> {
    fn file(&mut self, file: &str, below: &str, parent: Option<usize>) -> Result<usize, String> {
        let text = self.files.get(file).ok_or(format!("arrows: {file}: no such file"))?;
        let parsed: File = syn::parse_str(text).map_err(|error| format!("arrows: {file}: {error}"))?;
        let module = self.enter(file, below, parent, |reader| reader.visit_file(&parsed));
        self.failed.take().map_or(Ok(module), Err)
    }

    /// Makes a module and fills it by `read`.
    fn enter(
        &mut self,
        file: &str,
        below: &str,
        parent: Option<usize>,
        read: impl FnOnce(&mut Self),
    ) -> usize {
        let module = self.modules.len();
        self.modules.push(ParsedModule { file: file.to_owned(), parent, ..ParsedModule::default() });
        let outer = (self.at, std::mem::replace(&mut self.below, below.to_owned()));
        self.at = module;
        read(self);
        (self.at, self.below) = outer;
        module
    }

    /// Reads a `mod` in a file of its own.
    fn child_file(&mut self, name: &str) -> Result<usize, String> {
        let below = format!("{}/{name}", self.below);
        let choices = [format!("{below}.rs"), format!("{below}/mod.rs")];
        let found = choices.iter().find(|file| self.files.contains_key(*file));
        let file = found.ok_or(format!("arrows: {}: mod {name} has no file", self.here().file))?;
        self.file(file, &below, Some(self.at))
    }

    fn here(&mut self) -> &mut ParsedModule {
        &mut self.modules[self.at]
    }

    /// Notes the names that a `use` brings.
    fn import(&mut self, tree: &UseTree, before: &[String], reexport: bool) {
        let longer = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &longer(&path.ident), reexport),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before, reexport));
            }
            // `use a::b::{self}` is `use a::b`
            UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (before.to_vec(), Some(rename.rename.to_string()))
            }
            UseTree::Name(name) => (longer(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => (longer(&rename.ident), Some(rename.rename.to_string())),
            UseTree::Glob(_) => (before.to_vec(), None),
        };
        self.here().imports.push(Import { path, name, reexport });
    }

    /// Notes the paths in the arguments of a macro, which syn does not parse.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut field = false;
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                // `pub(super)`: a visibility uses nothing
                TokenTree::Ident(name) if name == "pub" => {
                    let _ = tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
                }
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.mention(std::mem::take(&mut path));
                    }
                    if !field {
                        path.push(name.to_string());
                    }
                    (colons, field) = (0, false);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                other => {
                    self.mention(std::mem::take(&mut path));
                    colons = 0;
                    field = matches!(&other, TokenTree::Punct(mark) if mark.as_char() == '.');
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.mention(path);
    }

    fn mention(&mut self, path: Vec<String>) {
        if !path.is_empty() {
            self.here().paths.insert(path);
        }
    }

    /// Notes the names that a macro such as `bitflags!` may define: the word after the keyword of an item.
    fn defined_by_macro(&mut self, tokens: TokenStream) {
        let mut before = String::new();
        for token in tokens {
            let word = token.to_string();
            if ["struct", "enum", "fn", "const", "static", "type", "trait"].contains(&before.as_str()) {
                self.here().items.insert(word.clone());
            }
            before = word;
        }
    }
}

impl<'ast> Visit<'ast> for ModuleReader<'_> {
    fn visit_file(&mut self, file: &'ast File) {
        for item in &file.items {
            self.top_item(item);
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        let child = match &item.content {
            None => match self.child_file(&name) {
                Ok(child) => child,
                Err(error) => {
                    self.failed.get_or_insert(error);
                    return;
                }
            },
            Some((_, items)) => {
                let (file, below) = (self.here().file.clone(), format!("{}/{name}", self.below));
                let at = self.at;
                self.enter(&file, &below, Some(at), |reader| {
                    for item in items {
                        reader.top_item(item);
                    }
                })
            }
        };
        self.here().children.insert(name, child);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // `use ::name` is another crate
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.mention(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        visit::visit_macro(self, item);
        self.tokens(item.tokens.clone());
    }

    // neither uses anything
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

impl ModuleReader<'_> {
    /// Reads an item of a module itself, not of a function.
    fn top_item(&mut self, item: &Item) {
        if attributes(item).iter().any(is_test) {
            return;
        }
        let names: Vec<&syn::Ident> = match item {
            Item::Const(item) => vec![&item.ident],
            Item::Enum(item) => vec![&item.ident],
            Item::Fn(item) => vec![&item.sig.ident],
            Item::Static(item) => vec![&item.ident],
            Item::Struct(item) => vec![&item.ident],
            Item::Trait(item) => vec![&item.ident],
            Item::TraitAlias(item) => vec![&item.ident],
            Item::Type(item) => vec![&item.ident],
            Item::Union(item) => vec![&item.ident],
            Item::Macro(item) => item.ident.iter().collect(),
            Item::ForeignMod(block) => block.items.iter().filter_map(foreign_name).collect(),
            _ => Vec::new(),
        };
        let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        self.here().items.extend(names);
        if let Item::Macro(item) = item
            && item.ident.is_none()
        {
            self.defined_by_macro(item.mac.tokens.clone());
        }
        self.visit_item(item);
    }
}

fn foreign_name(item: &ForeignItem) -> Option<&syn::Ident> {
    match item {
        ForeignItem::Fn(item) => Some(&item.sig.ident),
        ForeignItem::Static(item) => Some(&item.ident),
        ForeignItem::Type(item) => Some(&item.ident),
        _ => None,
    }
}

/// True for an attribute that leaves the item out of the crate: `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]`.
fn is_test(attribute: &Attribute) -> bool {
    let mut test = attribute.path().is_ident("test");
    if attribute.path().is_ident("cfg") {
        // a condition that does not parse is no condition on tests
        let _ = attribute.parse_nested_meta(|condition| {
            test |= condition.path.is_ident("test");
            if condition.path.is_ident("all") {
                condition.parse_nested_meta(|part| {
                    test |= part.path.is_ident("test");
                    let _: TokenStream = part.input.step(|cursor| skip_to_comma(*cursor))?;
                    Ok(())
                })?;
            }
            Ok(())
        });
    }
    test
}

/// The rest of one condition, such as `= "value"` or `(...)`.
fn skip_to_comma(mut cursor: syn::buffer::Cursor) -> syn::Result<(TokenStream, syn::buffer::Cursor)> {
    let mut skipped = TokenStream::new();
    while let Some((token, next)) = cursor.token_tree() {
        if matches!(&token, TokenTree::Punct(mark) if mark.as_char() == ',') {
            break;
        }
        skipped.extend([token]);
        cursor = next;
    }
    Ok((skipped, cursor))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ParsedModule {
        let files = [("src/lib.rs", text), ("src/other.rs", "")];
        let files = files.map(|(file, text)| (file.to_owned(), text.to_owned())).into();
        modules(&files, "src/lib.rs").unwrap().swap_remove(0)
    }

    fn mentioned(text: &str, path: &str) -> bool {
        parsed(text).paths.contains(&path.split("::").map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn use_tree_gives_one_import_for_each_name() {
        let module = parsed("pub use a::{self, b::c as d, e::*};");
        let imports: Vec<(String, Option<&str>)> =
            module.imports.iter().map(|import| (import.path.join("::"), import.name.as_deref())).collect();
        let expected = [("a", Some("a")), ("a::b::c", Some("d")), ("a::e", None)];
        assert_eq!(imports, expected.map(|(path, name)| (path.to_owned(), name)));
        assert!(module.imports.iter().all(|import| import.reexport));
    }

    #[test]
    fn paths_in_code_types_and_macros_are_mentioned() {
        assert!(mentioned("fn f() { super::a::b() }", "super::a::b"));
        assert!(mentioned("struct S(Vec<crate::a::B>);", "crate::a::B"));
        assert!(mentioned("fn f() { assert!(matches!(x, crate::a::B::C { .. })) }", "crate::a::B::C"));
        assert!(mentioned("macro_rules! m { () => { $crate::a::b() } }", "crate::a::b"));
        assert!(mentioned("fn f() { println!(\"{}\", x.len(), a::b) }", "a::b"));
        assert!(!mentioned("fn f() { println!(\"{}\", x.len()) }", "len"));
    }

    #[test]
    fn attributes_visibility_and_tests_mention_nothing() {
        assert!(!mentioned("#[serde(with = \"a\")] #[a::b] struct S;", "a::b"));
        assert!(!mentioned("pub(in crate::a) struct S;", "crate::a"));
        assert!(!mentioned("macro_rules! m { () => { pub(super) fn f() {} } }", "super"));
        assert!(mentioned("macro_rules! m { () => { pub fn f() -> super::a::B {} } }", "super::a::B"));
        assert!(!mentioned("#[cfg(test)] mod tests { fn f() { crate::a::b() } }", "crate::a::b"));
        let both = "#[cfg(all(feature = \"x\", any(unix, y), test))] fn f() { crate::a::b() }";
        assert!(!mentioned(both, "crate::a::b"));
        assert!(mentioned("#[cfg(not(test))] fn f() { crate::a::b() }", "crate::a::b"));
        assert!(mentioned("#[cfg(feature = \"test\")] fn f() { crate::a::b() }", "crate::a::b"));
    }

    #[test]
    fn items_are_those_of_the_module_and_of_its_macros() {
        let module = parsed("fn f() { struct Inner; } mod other; bitflags! { pub struct Flags: u8 { } }");
        assert_eq!(module.items.iter().collect::<Vec<_>>(), ["Flags", "f"]);
        assert_eq!(module.children.keys().collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn mod_without_a_file_and_broken_text_are_errors() {
        let read = |text: &str| modules(&[("src/lib.rs".into(), text.into())].into(), "src/lib.rs");
        assert!(read("mod gone;").err().unwrap().contains("mod gone has no file"));
        assert!(read("fn {").err().unwrap().starts_with("arrows: src/lib.rs: "));
    }
}
