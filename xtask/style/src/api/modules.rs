//! The modules of a crate, with their items and re-exports.

use std::collections::BTreeMap;

use syn::{Attribute, Item, Meta, UseTree, Visibility};

use crate::conditions::{BuildCondition, conditions, exclude_each_other};
use crate::definitions::in_macros::named_in;
use crate::definitions::{DefinitionKind, DefinitionVisibility, last_name};

/// A module of the crate, in a file of its own or not.
#[derive(Default)]
pub(super) struct ApiModule {
    pub(super) parent: Option<usize>,
    /// The modules in it.
    pub(super) modules: BTreeMap<String, ChildModule>,
    /// Items with a name, other than modules.
    pub(super) items: BTreeMap<String, ApiItem>,
    /// `use` of one name or of all of a module.
    pub(super) uses: Vec<ApiUse>,
}

/// An item that can be exported.
pub(super) enum ApiItem {
    Written(Box<Item>),
    /// A public type that a macro such as `bitflags!` makes, with the public members that the macro shows.
    Made {
        methods: usize,
        constants: usize,
    },
}

/// A module as its parent has it.
#[derive(Debug)]
pub(super) struct ChildModule {
    pub(super) number: usize,
    pub(super) public: bool,
    pub(super) hidden: bool,
}

/// A name that a `use` brings.
#[derive(Debug)]
pub(super) struct ApiUse {
    pub(super) path: Vec<String>,
    /// The name here; none for `path::*`.
    pub(super) name: Option<String>,
    pub(super) public: bool,
    pub(super) hidden: bool,
}

/// All modules, the root first, and all blocks of methods.
#[derive(Default)]
pub(super) struct ApiSources {
    pub(super) modules: Vec<ApiModule>,
    /// `impl Type { … }`, by the name of the type.
    pub(super) impls: BTreeMap<String, Vec<syn::ItemImpl>>,
}

/// Reads a crate from the files below its `src`, by their paths.
///
/// # Errors
/// A file that is missing or is not Rust.
pub(super) fn read(files: &BTreeMap<String, String>, folder: &str) -> Result<ApiSources, String> {
    let mut sources = ApiSources::default();
    sources.read_file(files, &format!("{folder}/lib.rs"), folder, None)?;
    Ok(sources)
}

impl ApiSources {
    /// `below`: the folder of the files of modules in it.
    fn read_file(
        &mut self,
        files: &BTreeMap<String, String>,
        path: &str,
        below: &str,
        parent: Option<usize>,
    ) -> Result<usize, String> {
        let text = files.get(path).ok_or(format!("{path}: no such file"))?;
        let file = syn::parse_file(text).map_err(|error| format!("{path}: {error}"))?;
        self.read_items(files, file.items, below, parent)
    }

    fn read_items(
        &mut self,
        files: &BTreeMap<String, String>,
        items: Vec<Item>,
        below: &str,
        parent: Option<usize>,
    ) -> Result<usize, String> {
        let number = self.modules.len();
        self.modules.push(ApiModule { parent, ..ApiModule::default() });
        for item in items.into_iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let below = format!("{below}/{name}");
                    let child = if let Some((_, items)) = module.content {
                        self.read_items(files, items, &below, Some(number))?
                    } else {
                        let places = [format!("{below}.rs"), format!("{below}/mod.rs")];
                        let place = places.iter().find(|place| files.contains_key(*place));
                        let place = place.ok_or(format!("{below}.rs: no such file"))?;
                        self.read_file(files, place, &below, Some(number))?
                    };
                    let (public, hidden) = (is_public(&module.vis), is_hidden(&module.attrs));
                    self.modules[number].modules.insert(name, ChildModule { number: child, public, hidden });
                }
                Item::Use(item) if item.leading_colon.is_none() => {
                    let marks = (is_public(&item.vis), is_hidden(&item.attrs));
                    add_uses(&item.tree, &[], marks, &mut self.modules[number].uses);
                }
                Item::Impl(item) if item.trait_.is_none() => {
                    if let Some(name) = last_name(&item.self_ty) {
                        self.impls.entry(name).or_default().push(item);
                    }
                }
                Item::Macro(item) => self.modules[number].items.extend(made_by(&item)),
                item => {
                    if let Some(name) = item_name(&item) {
                        self.modules[number].items.insert(name, ApiItem::Written(Box::new(item)));
                    }
                }
            }
        }
        Ok(number)
    }
}

/// The public types that a macro makes. Members belong to the only one.
fn made_by(item: &syn::ItemMacro) -> Vec<(String, ApiItem)> {
    let named = named_in(item.mac.tokens.clone());
    let public = |wanted: DefinitionKind| {
        let is = move |kind: &DefinitionKind, level: &DefinitionVisibility| {
            *kind == wanted && (*level == DefinitionVisibility::Public || wanted == DefinitionKind::Constant)
        };
        named.iter().filter(move |(_, kind, level)| is(kind, level))
    };
    let types: Vec<String> = public(DefinitionKind::Type).map(|(name, ..)| name.to_string()).collect();
    let (methods, constants) = match types.len() {
        1 => (public(DefinitionKind::Function).count(), public(DefinitionKind::Constant).count()),
        _ => (0, 0),
    };
    types.into_iter().map(|name| (name, ApiItem::Made { methods, constants })).collect()
}

/// Splits a tree of names; `marks`: public, hidden.
fn add_uses(tree: &UseTree, before: &[String], marks: (bool, bool), uses: &mut Vec<ApiUse>) {
    let longer = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    let (path, name) = match tree {
        UseTree::Path(path) => return add_uses(&path.tree, &longer(&path.ident), marks, uses),
        UseTree::Group(group) => {
            return group.items.iter().for_each(|tree| add_uses(tree, before, marks, uses));
        }
        UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
        UseTree::Name(name) => (longer(&name.ident), Some(name.ident.to_string())),
        UseTree::Rename(rename) => (longer(&rename.ident), Some(rename.rename.to_string())),
        UseTree::Glob(_) => (before.to_vec(), None),
    };
    uses.push(ApiUse { path, name, public: marks.0, hidden: marks.1 });
}

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// `#[doc(hidden)]`.
pub(super) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("doc") && list.tokens.to_string() == "hidden"
    })
}

fn is_test(attributes: &[Attribute]) -> bool {
    let without_tests = BuildCondition::Not(Box::new(BuildCondition::Set("test".to_owned(), None)));
    exclude_each_other(&conditions(attributes), &[without_tests])
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
