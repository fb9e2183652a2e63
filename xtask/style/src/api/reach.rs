//! The names that a user of a crate can use: public modules and re-exports lead there from the root.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{ApiItem, ApiModule, ApiSources, attributes, is_hidden, is_public};

/// More re-exports of re-exports than this are a circle.
const LONGEST_CHAIN: usize = 16;

/// The reachable part of a crate. Items are known by their module and name.
#[derive(Debug, Default)]
pub(super) struct ReachableApi {
    /// Names at the root, modules included and hidden ones left out.
    pub(super) root: BTreeSet<String>,
    /// Modules with documentation, without the root.
    pub(super) modules: BTreeSet<usize>,
    pub(super) items: BTreeSet<(usize, String)>,
    /// Items that only `#[doc(hidden)]` leads to.
    pub(super) hidden: BTreeSet<(usize, String)>,
}

#[derive(Debug)]
enum ApiTarget {
    Module(usize),
    Item(usize, String),
}

/// Walks from the root.
pub(super) fn reachable(sources: &ApiSources) -> ReachableApi {
    let mut walk = ApiWalk { sources, seen: BTreeMap::new(), reached: BTreeMap::new() };
    walk.module(0, false);
    let split = |wanted: bool| {
        let chosen = walk.reached.iter().filter(move |(_, hidden)| **hidden == wanted);
        chosen.map(|(item, _)| item.clone()).collect()
    };
    ReachableApi {
        root: exported_names(sources, 0, 0),
        modules: walk
            .seen
            .iter()
            .filter(|(number, hidden)| **number != 0 && !**hidden)
            .map(|(number, _)| *number)
            .collect(),
        items: split(false),
        hidden: split(true),
    }
}

/// The names that a module exports, without hidden ones.
fn exported_names(sources: &ApiSources, number: usize, depth: usize) -> BTreeSet<String> {
    let module = &sources.modules[number];
    let modules =
        module.modules.iter().filter(|(_, child)| child.public && !child.hidden).map(|(name, _)| name);
    let items =
        module.items.iter().filter(|(_, item)| is_exported(item) == Some(false)).map(|(name, _)| name);
    let mut names: BTreeSet<String> = modules.chain(items).cloned().collect();
    for used in module.uses.iter().filter(|used| used.public && !used.hidden) {
        match (&used.name, resolve(sources, number, &used.path, 0)) {
            (Some(name), _) => names.extend([name.clone()]),
            (None, Some(ApiTarget::Module(target))) if depth < LONGEST_CHAIN => {
                names.extend(exported_names(sources, target, depth + 1));
            }
            (None, _) => {}
        }
    }
    names
}

/// Whether an item is hidden, if it is public.
fn is_exported(item: &ApiItem) -> Option<bool> {
    let ApiItem::Written(item) = item else { return Some(false) };
    let visibility = match &**item {
        syn::Item::Const(item) => &item.vis,
        syn::Item::Enum(item) => &item.vis,
        syn::Item::Fn(item) => &item.vis,
        syn::Item::Static(item) => &item.vis,
        syn::Item::Struct(item) => &item.vis,
        syn::Item::Trait(item) => &item.vis,
        syn::Item::Type(item) => &item.vis,
        syn::Item::Union(item) => &item.vis,
        _ => return None,
    };
    is_public(visibility).then(|| is_hidden(attributes(item)))
}

struct ApiWalk<'a> {
    sources: &'a ApiSources,
    /// Modules, and whether only hidden ways led there.
    seen: BTreeMap<usize, bool>,
    reached: BTreeMap<(usize, String), bool>,
}

impl ApiWalk<'_> {
    fn module(&mut self, number: usize, hidden: bool) {
        match self.seen.get(&number) {
            Some(before) if !*before || hidden => return,
            _ => self.seen.insert(number, hidden),
        };
        let sources = self.sources;
        let module = &sources.modules[number];
        for child in module.modules.values().filter(|child| child.public) {
            self.module(child.number, hidden || child.hidden);
        }
        for (name, item) in &module.items {
            if let Some(own) = is_exported(item) {
                self.item((number, name.clone()), hidden || own);
            }
        }
        for used in module.uses.iter().filter(|used| used.public) {
            match resolve(sources, number, &used.path, 0) {
                Some(ApiTarget::Module(target)) => self.module(target, hidden || used.hidden),
                Some(ApiTarget::Item(target, name)) => self.item((target, name), hidden || used.hidden),
                None => {}
            }
        }
    }

    fn item(&mut self, item: (usize, String), hidden: bool) {
        *self.reached.entry(item).or_insert(true) &= hidden;
    }
}

/// The module or item that a path leads to; none outside of the crate.
fn resolve(sources: &ApiSources, from: usize, path: &[String], depth: usize) -> Option<ApiTarget> {
    let mut at = from;
    let mut rest = path;
    while let [first, after @ ..] = rest {
        match first.as_str() {
            "crate" => at = 0,
            "super" => at = sources.modules[at].parent?,
            "self" => {}
            name => {
                let module = &sources.modules[at];
                if let Some(child) = module.modules.get(name) {
                    at = child.number;
                } else if after.is_empty() && module.items.contains_key(name) {
                    return Some(ApiTarget::Item(at, name.to_owned()));
                } else {
                    return imported(sources, module, at, rest, depth);
                }
            }
        }
        rest = after;
    }
    Some(ApiTarget::Module(at))
}

/// Follows a name that the module has by a `use`.
fn imported(
    sources: &ApiSources,
    module: &ApiModule,
    at: usize,
    rest: &[String],
    depth: usize,
) -> Option<ApiTarget> {
    if depth == LONGEST_CHAIN {
        return None;
    }
    let named = module.uses.iter().filter(|used| used.name.as_ref() == rest.first());
    let exact = named.map(|used| [&used.path[..], &rest[1..]].concat());
    let whole =
        module.uses.iter().filter(|used| used.name.is_none()).map(|used| [&used.path[..], rest].concat());
    // a path that begins with its own name leads to another crate
    exact.chain(whole).filter(|path| path != rest).find_map(|path| resolve(sources, at, &path, depth + 1))
}
