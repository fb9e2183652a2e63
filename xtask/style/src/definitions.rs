//! The definitions of a Rust file: types, functions, fields and the rest, each with its owner and its conditions.

mod collector;
pub(crate) mod in_macros;

use crate::conditions::BuildCondition;
pub(crate) use collector::last_name;

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
    /// The documentation, empty if there is none.
    pub(crate) documentation: String,
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
    Ok(collector::collect(&file))
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
        let source = "pub enum A { B } pub(crate) trait C { fn d(); } impl C for A { fn d() {} }";
        let levels: Vec<_> =
            definitions(source).unwrap().iter().map(|definition| definition.visibility).collect();
        assert_eq!(levels, [Public, Public, Crate, Crate, Public, Private]);
    }

    #[test]
    fn conditions_are_those_of_the_item_and_its_modules() {
        let source = "#[cfg(unix)] mod m { #[cfg(test)] struct A; } struct B;";
        let numbers: Vec<_> =
            definitions(source).unwrap().iter().map(|definition| definition.conditions.len()).collect();
        assert_eq!(numbers, [1, 2, 0]);
    }

    #[test]
    fn documentation_is_that_of_the_definition_itself() {
        let source = "/// A.\n///\n///  b\nstruct A { /** c */ b: u8, #[doc(hidden)] d: u8 } /// no\nimpl A { fn e() {} }";
        let found = definitions(source).unwrap();
        let texts: Vec<&str> = found.iter().map(|definition| definition.documentation.as_str()).collect();
        assert_eq!(texts, ["A.\n\n b", "c ", "", ""]);
    }

    #[test]
    fn alias_names_what_it_stands_for() {
        let alias = |source: &str| definitions(source).unwrap().pop().unwrap().alias_of;
        assert_eq!(alias("type Ctx<'a> = core::Context<'a, A>;").as_deref(), Some("Context"));
        assert_eq!(alias("impl S for A { type State = State; }").as_deref(), Some("State"));
        assert_eq!(alias("type A = (u8, u8);"), None);
    }
}
