//! The parts of a crate's public interface, counted.

use syn::visit::{self, Visit};
use syn::{FnArg, ImplItem, Item, Pat, ReturnType, TraitItem, Type};

use super::modules::{ApiItem, ApiSources, attributes, is_public};
use super::reach::reachable;

/// How many there are of each kind.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ApiSurface {
    pub(super) exports_at_root: usize,
    pub(super) modules: usize,
    pub(super) structs: usize,
    pub(super) enums: usize,
    pub(super) aliases: usize,
    pub(super) traits: usize,
    pub(super) functions: usize,
    pub(super) methods: usize,
    pub(super) fields: usize,
    pub(super) variants: usize,
    pub(super) constants: usize,
    /// Structs and enums with `#[non_exhaustive]`.
    pub(super) non_exhaustive: usize,
    pub(super) bool_parameters: usize,
    /// Parameters, results and fields with a tuple.
    pub(super) tuples: usize,
    pub(super) hidden: usize,
    /// The places of these.
    pub(super) unnamed: Vec<String>,
}

/// Counts the interface of a crate.
pub(super) fn surface(sources: &ApiSources) -> ApiSurface {
    let reachable = reachable(sources);
    let mut surface = ApiSurface {
        exports_at_root: reachable.root.len(),
        modules: reachable.modules.len(),
        hidden: reachable.hidden.len(),
        ..ApiSurface::default()
    };
    for (module, name) in &reachable.items {
        match &sources.modules[*module].items[name] {
            ApiItem::Written(item) => surface.add_item(item),
            ApiItem::Made { methods, constants } => {
                surface.structs += 1;
                surface.methods += methods;
                surface.constants += constants;
            }
        }
        surface.add_methods(name, sources);
    }
    surface
}

impl ApiSurface {
    fn add_item(&mut self, item: &Item) {
        if attributes(item).iter().any(|attribute| attribute.path().is_ident("non_exhaustive")) {
            self.non_exhaustive += 1;
        }
        match item {
            Item::Struct(item) => {
                self.structs += 1;
                self.add_fields(&item.ident, item.fields.iter().filter(|field| is_public(&field.vis)));
            }
            Item::Union(item) => {
                self.structs += 1;
                self.add_fields(&item.ident, item.fields.named.iter().filter(|field| is_public(&field.vis)));
            }
            Item::Enum(item) => {
                self.enums += 1;
                self.variants += item.variants.len();
                self.add_fields(&item.ident, item.variants.iter().flat_map(|variant| &variant.fields));
            }
            Item::Type(_) => self.aliases += 1,
            Item::Trait(item) => self.add_trait(item),
            Item::Fn(item) => {
                self.functions += 1;
                self.add_function(&item.sig.ident.to_string(), &item.sig);
            }
            Item::Const(_) | Item::Static(_) => self.constants += 1,
            _ => {}
        }
    }

    fn add_trait(&mut self, item: &syn::ItemTrait) {
        self.traits += 1;
        for member in &item.items {
            match member {
                TraitItem::Fn(function) => {
                    self.methods += 1;
                    self.add_function(&format!("{}::{}", item.ident, function.sig.ident), &function.sig);
                }
                TraitItem::Const(_) => self.constants += 1,
                TraitItem::Type(_) => self.aliases += 1,
                _ => {}
            }
        }
    }

    /// The public members of a type's `impl` blocks.
    fn add_methods(&mut self, name: &str, sources: &ApiSources) {
        for member in sources.impls.get(name).into_iter().flatten().flat_map(|block| &block.items) {
            match member {
                ImplItem::Fn(function) if is_public(&function.vis) => {
                    self.methods += 1;
                    self.add_function(&format!("{name}::{}", function.sig.ident), &function.sig);
                }
                ImplItem::Const(constant) if is_public(&constant.vis) => self.constants += 1,
                _ => {}
            }
        }
    }

    fn add_function(&mut self, name: &str, signature: &syn::Signature) {
        for input in &signature.inputs {
            let FnArg::Typed(parameter) = input else { continue };
            let pattern = match &*parameter.pat {
                Pat::Ident(pattern) => pattern.ident.to_string(),
                _ => "_".to_owned(),
            };
            let unnamed = UnnamedTypes::of(&parameter.ty);
            if unnamed.is_bool {
                self.bool_parameters += 1;
                self.unnamed.push(format!("{name}: {pattern}: bool"));
            }
            self.add_tuple(&unnamed, &format!("{name}: {pattern}"));
        }
        if let ReturnType::Type(_, result) = &signature.output {
            self.add_tuple(&UnnamedTypes::of(result), &format!("{name}: result"));
        }
    }

    fn add_fields<'a>(&mut self, owner: &syn::Ident, fields: impl Iterator<Item = &'a syn::Field>) {
        for field in fields {
            self.fields += 1;
            let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            self.add_tuple(&UnnamedTypes::of(&field.ty), &format!("{owner}: {name}"));
        }
    }

    fn add_tuple(&mut self, unnamed: &UnnamedTypes, place: &str) {
        if unnamed.has_tuple {
            self.tuples += 1;
            self.unnamed.push(format!("{place}: (…)"));
        }
    }
}

/// Types that say nothing about their meaning. Those of a callback belong to its caller.
#[derive(Default)]
struct UnnamedTypes {
    is_bool: bool,
    has_tuple: bool,
}

impl UnnamedTypes {
    fn of(type_: &Type) -> UnnamedTypes {
        let mut unnamed = UnnamedTypes::default();
        unnamed.visit_type(type_);
        unnamed
    }
}

impl<'ast> Visit<'ast> for UnnamedTypes {
    fn visit_type(&mut self, type_: &'ast Type) {
        match type_ {
            Type::Path(path) => self.is_bool |= path.path.is_ident("bool"),
            Type::Tuple(tuple) => self.has_tuple |= !tuple.elems.is_empty(),
            _ => {}
        }
        visit::visit_type(self, type_);
    }

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}

    fn visit_type_bare_fn(&mut self, _: &'ast syn::TypeBareFn) {}
}
