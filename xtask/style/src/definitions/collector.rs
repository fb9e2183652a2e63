//! The walk through a parsed file that collects its definitions.

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Visibility};

use super::in_macros::named_in;
use super::{Definition, DefinitionKind, DefinitionVisibility};
use crate::conditions::{BuildCondition, conditions};

/// All definitions of a file in their order.
pub(super) fn collect(file: &syn::File) -> Vec<Definition> {
    let mut collector = DefinitionCollector::default();
    collector.within(&file.attrs, None, |collector| collector.visit_file(file));
    collector.found
}

#[derive(Default)]
struct DefinitionCollector {
    found: Vec<Definition>,
    owner: Option<String>,
    conditions: Vec<BuildCondition>,
    /// That of the definition which is added next.
    documentation: String,
}

impl DefinitionCollector {
    fn add(&mut self, name: &Ident, kind: DefinitionKind, visibility: Option<&Visibility>) {
        self.found.push(Definition {
            name: bare(name),
            kind,
            visibility: visibility.map_or_else(|| self.visibility_of_owner(), level),
            line: name.span().start().line,
            owner: self.owner.clone(),
            alias_of: None,
            documentation: std::mem::take(&mut self.documentation),
            conditions: self.conditions.clone(),
        });
    }

    /// Variants and the members of traits are as visible as their owner.
    fn visibility_of_owner(&self) -> DefinitionVisibility {
        let named = |other: &&Definition| {
            other.kind == DefinitionKind::Type && Some(&other.name) == self.owner.as_ref()
        };
        let owner = self.found.iter().rev().find(named);
        owner.map_or(DefinitionVisibility::Private, |owner| owner.visibility)
    }

    /// Visits what is inside of something with attributes and perhaps a name that owns it.
    fn within(&mut self, attributes: &[Attribute], owner: Option<String>, inside: impl FnOnce(&mut Self)) {
        let before = self.conditions.len();
        self.conditions.extend(conditions(attributes));
        self.documentation = documentation(attributes);
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
}

fn bare(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

/// The text of all `///` of an item; `#[doc(hidden)]` and the like have none.
fn documentation(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
            let Meta::NameValue(pair) = &attribute.meta else { return None };
            let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
            let text = text.value();
            Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        });
    lines.collect::<Vec<_>>().join("\n")
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
        for (name, kind, visibility) in named_in(item.tokens.clone()) {
            self.add(&name, kind, None);
            self.found.last_mut().expect("just added").visibility = visibility;
        }
    }
}
