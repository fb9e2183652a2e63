//! The definitions of a Rust file: types, functions, fields and the rest, each with its owner and its conditions.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Visibility};

use crate::conditions::{BuildCondition, conditions};

/// A name that a file defines.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: DefinitionKind,
    pub(crate) visibility: DefinitionVisibility,
    pub(crate) line: usize,
    /// The type or trait of a method, field, variant or associated item.
    pub(crate) owner: Option<String>,
    /// The name of the type that an alias stands for.
    pub(crate) alias_of: Option<String>,
    /// The conditions under which it is built, those of the modules in the same file included.
    pub(crate) conditions: Vec<BuildCondition>,
}

/// The kinds of definitions that the checks tell apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DefinitionKind {
    /// A struct, enum, union, trait or alias.
    Type,
    AssociatedType,
    /// A function or method.
    Function,
    Field,
    Variant,
    /// A constant or static.
    Constant,
    Macro,
    /// `impl NAME for OWNER`.
    Implementation,
    /// A module; `file` if its items are in a file of their own.
    Module {
        file: bool,
    },
}

/// How far a definition can be named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DefinitionVisibility {
    Public,
    /// `pub(crate)`, `pub(super)` and `pub(in …)`.
    Crate,
    Private,
}

/// All definitions of a file in their order, also those inside of functions and of arguments of macros.
///
/// # Errors
/// The text is not Rust.
pub(crate) fn definitions(source: &str) -> Result<Vec<Definition>, String> {
    let file = syn::parse_file(source).map_err(|error| format!("{}: {error}", error.span().start().line))?;
    let mut collector = DefinitionCollector::default();
    collector.within(&file.attrs, None, |collector| collector.visit_file(&file));
    Ok(collector.found)
}

#[derive(Default)]
struct DefinitionCollector {
    found: Vec<Definition>,
    owner: Option<String>,
    conditions: Vec<BuildCondition>,
}

impl DefinitionCollector {
    fn add(&mut self, name: &Ident, kind: DefinitionKind, visibility: Option<&Visibility>) {
        self.found.push(Definition {
            name: bare(name),
            kind,
            visibility: visibility.map_or(DefinitionVisibility::Private, level),
            line: name.span().start().line,
            owner: self.owner.clone(),
            alias_of: None,
            conditions: self.conditions.clone(),
        });
    }

    /// Visits what is inside of something with attributes and perhaps a name that owns it.
    fn within(&mut self, attributes: &[Attribute], owner: Option<String>, inside: impl FnOnce(&mut Self)) {
        let before = self.conditions.len();
        self.conditions.extend(conditions(attributes));
        let outer = std::mem::replace(&mut self.owner, owner);
        inside(self);
        self.owner = outer;
        self.conditions.truncate(before);
    }

    fn owned(&mut self, attributes: &[Attribute], inside: impl FnOnce(&mut Self)) {
        let owner = self.owner.clone();
        self.within(attributes, owner, inside);
    }

    /// A type or another item with a name.
    fn item(
        &mut self,
        (name, kind): (&Ident, DefinitionKind),
        visibility: Option<&Visibility>,
        attributes: &[Attribute],
        inside: impl FnOnce(&mut Self),
    ) {
        self.within(attributes, None, |collector| {
            collector.add(name, kind, visibility);
            collector.owner = (kind == DefinitionKind::Type).then(|| bare(name));
            inside(collector);
        });
    }

    /// The names that a macro such as `bitflags!` may define, which syn does not parse: what follows a keyword.
    fn tokens(&mut self, tokens: TokenStream, associated: bool) {
        let mut keyword: Option<String> = None;
        let mut visibility = DefinitionVisibility::Private;
        let mut inside_impl = false;
        let mut parameter = false;
        for token in tokens {
            match token {
                // `$type` of a macro's rule is no keyword
                TokenTree::Ident(_) if parameter => {}
                TokenTree::Ident(name) => {
                    if let Some(kind) = keyword.take().and_then(|keyword| kind_of(&keyword, associated)) {
                        self.add(&name, kind, None);
                        self.found.last_mut().expect("just added").visibility = visibility;
                    }
                    let word = name.to_string();
                    match word.as_str() {
                        "pub" => visibility = DefinitionVisibility::Public,
                        "impl" | "trait" => inside_impl = true,
                        "const" | "unsafe" | "async" | "extern" => {}
                        _ if kind_of(&word, associated).is_none() => {
                            visibility = DefinitionVisibility::Private;
                        }
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
                        self.tokens(group.stream(), associated || (inside_impl && brace));
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

fn bare(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

fn level(visibility: &Visibility) -> DefinitionVisibility {
    match visibility {
        Visibility::Public(_) => DefinitionVisibility::Public,
        Visibility::Restricted(_) => DefinitionVisibility::Crate,
        Visibility::Inherited => DefinitionVisibility::Private,
    }
}

/// The last name of the path of a type.
pub(crate) fn last_name(type_: &syn::Type) -> Option<String> {
    match type_ {
        syn::Type::Path(path) => path.path.segments.last().map(|segment| bare(&segment.ident)),
        syn::Type::Reference(reference) => last_name(&reference.elem),
        syn::Type::Paren(inner) => last_name(&inner.elem),
        syn::Type::Group(inner) => last_name(&inner.elem),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for DefinitionCollector {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.item((&item.ident, DefinitionKind::Type), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_struct(collector, item);
        });
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.item((&item.ident, DefinitionKind::Type), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_enum(collector, item);
        });
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.item((&item.ident, DefinitionKind::Type), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_union(collector, item);
        });
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.item((&item.ident, DefinitionKind::Type), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_trait(collector, item);
        });
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.item((&item.ident, DefinitionKind::Type), Some(&item.vis), &item.attrs, |collector| {
            collector.found.last_mut().expect("just added").alias_of = last_name(&item.ty);
            visit::visit_item_type(collector, item);
        });
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.item((&item.sig.ident, DefinitionKind::Function), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_fn(collector, item);
        });
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.item((&item.ident, DefinitionKind::Constant), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_const(collector, item);
        });
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.item((&item.ident, DefinitionKind::Constant), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_static(collector, item);
        });
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let kind = DefinitionKind::Module { file: item.content.is_none() };
        self.item((&item.ident, kind), Some(&item.vis), &item.attrs, |collector| {
            visit::visit_item_mod(collector, item);
        });
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        self.owned(&item.attrs, |collector| {
            if let Some(name) = &item.ident {
                collector.add(name, DefinitionKind::Macro, None);
            }
            visit::visit_item_macro(collector, item);
        });
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        for foreign in &item.items {
            match foreign {
                syn::ForeignItem::Fn(function) => {
                    self.add(&function.sig.ident, DefinitionKind::Function, Some(&function.vis));
                }
                syn::ForeignItem::Static(item) => {
                    self.add(&item.ident, DefinitionKind::Constant, Some(&item.vis));
                }
                _ => {}
            }
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.within(&item.attrs, last_name(&item.self_ty), |collector| {
            if let Some(name) = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last()) {
                collector.add(&name.ident, DefinitionKind::Implementation, None);
            }
            visit::visit_item_impl(collector, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.owned(&item.attrs, |collector| {
            collector.add(&item.sig.ident, DefinitionKind::Function, Some(&item.vis));
            collector.owner = None;
            visit::visit_impl_item_fn(collector, item);
        });
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.owned(&item.attrs, |collector| {
            collector.add(&item.ident, DefinitionKind::Constant, Some(&item.vis));
        });
    }

    fn visit_impl_item_type(&mut self, item: &'ast syn::ImplItemType) {
        self.owned(&item.attrs, |collector| {
            collector.add(&item.ident, DefinitionKind::AssociatedType, Some(&item.vis));
            collector.found.last_mut().expect("just added").alias_of = last_name(&item.ty);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.owned(&item.attrs, |collector| {
            collector.add(&item.sig.ident, DefinitionKind::Function, None);
            collector.owner = None;
            visit::visit_trait_item_fn(collector, item);
        });
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.owned(&item.attrs, |collector| collector.add(&item.ident, DefinitionKind::Constant, None));
    }

    fn visit_trait_item_type(&mut self, item: &'ast syn::TraitItemType) {
        self.owned(&item.attrs, |collector| collector.add(&item.ident, DefinitionKind::AssociatedType, None));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.owned(&variant.attrs, |collector| {
            collector.add(&variant.ident, DefinitionKind::Variant, None);
            visit::visit_variant(collector, variant);
        });
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.owned(&field.attrs, |collector| {
            if let Some(name) = &field.ident {
                collector.add(name, DefinitionKind::Field, Some(&field.vis));
            }
            visit::visit_field(collector, field);
        });
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone(), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(String, DefinitionKind)> {
        let path = |definition: &Definition| match &definition.owner {
            Some(owner) => format!("{owner}::{}", definition.name),
            None => definition.name.clone(),
        };
        definitions(source).unwrap().iter().map(|definition| (path(definition), definition.kind)).collect()
    }

    fn types(source: &str) -> Vec<String> {
        let types = found(source).into_iter().filter(|(_, kind)| *kind == DefinitionKind::Type);
        types.map(|(name, _)| name).collect()
    }

    #[test]
    fn types_are_found_wherever_they_are() {
        assert_eq!(
            types("struct A<T>(T); enum B {} union C { a: u8 } trait D {} type E = A<u8>;"),
            ["A", "B", "C", "D", "E"]
        );
        assert_eq!(
            types("fn f() { struct A; } mod m { struct B; } #[cfg(test)] mod tests { struct C; }"),
            ["A", "B", "C"]
        );
        assert_eq!(types("impl A { fn f() { enum B {} } } const X: u8 = { struct C; 1 };"), ["B", "C"]);
        assert_eq!(types("bitflags! { impl X: u8 {} pub struct A: u8 { const B = 1; } }"), ["A"]);
    }

    #[test]
    fn associated_types_and_parameters_are_no_types() {
        assert_eq!(types("trait A { type B; } impl A for C { type B = u8; } fn f<T: A<B = u8>>() {}"), ["A"]);
        assert_eq!(types("make! { impl A for C { type B = u8; } }"), [""; 0]);
        assert_eq!(types("macro_rules! m { ($name:ident) => { struct $name; } }"), [""; 0]);
        assert_eq!(types("macro_rules! m { ($type:ty) => { <$type as A>::b() } }"), [""; 0]);
    }

    #[test]
    fn members_have_their_owner() {
        use DefinitionKind::{AssociatedType, Constant, Field, Function, Implementation, Type, Variant};
        let named = |path: &str, kind| (path.to_owned(), kind);
        assert_eq!(
            found("struct A { b: u8 } impl A { const C: u8 = 1; fn d() { fn e() {} } }"),
            [
                named("A", Type),
                named("A::b", Field),
                named("A::C", Constant),
                named("A::d", Function),
                named("e", Function),
            ]
        );
        assert_eq!(
            found("enum A { B { c: u8 } } trait D { type E; fn f(); }"),
            [
                named("A", Type),
                named("A::B", Variant),
                named("A::c", Field),
                named("D", Type),
                named("D::E", AssociatedType),
                named("D::f", Function),
            ]
        );
        assert_eq!(
            found("impl<'a> D for x::A<'a> { fn f() {} }"),
            [named("A::D", Implementation), named("A::f", Function),]
        );
    }

    #[test]
    fn visibility_is_that_of_the_item() {
        use DefinitionVisibility::{Crate, Private, Public};
        let source = "pub struct A; pub(crate) struct B; struct C; m! { pub struct D; pub(super) struct E; struct F; }";
        let levels: Vec<_> =
            definitions(source).unwrap().iter().map(|definition| definition.visibility).collect();
        assert_eq!(levels, [Public, Crate, Private, Public, Crate, Private]);
    }

    #[test]
    fn conditions_are_those_of_the_item_and_its_modules() {
        let source = "#[cfg(unix)] mod m { #[cfg(test)] struct A; } struct B;";
        let numbers: Vec<_> =
            definitions(source).unwrap().iter().map(|definition| definition.conditions.len()).collect();
        assert_eq!(numbers, [1, 2, 0]);
    }

    #[test]
    fn alias_names_what_it_stands_for() {
        let alias = |source: &str| definitions(source).unwrap().pop().unwrap().alias_of;
        assert_eq!(alias("type Ctx<'a> = core::Context<'a, A>;").as_deref(), Some("Context"));
        assert_eq!(alias("impl S for A { type State = State; }").as_deref(), Some("State"));
        assert_eq!(alias("type A = (u8, u8);"), None);
    }
}
