//! `cargo xtask api`: how large the public interface of a crate is, now and at another commit.

mod modules;
mod reach;
mod surface;

use std::fmt::Write as _;

use clap::Args;

use crate::StyleReport;
use crate::repository::Repository;
use surface::{ApiSurface, surface};

/// Counts the public interface of a crate: everything that leads from its root by public modules and re-exports.
///
/// Variants and methods that a macro makes of its arguments are not seen.
#[derive(Debug, Args)]
pub(crate) struct ApiArguments {
    /// The folder of the crate below crates/.
    #[arg(long = "crate", value_name = "CRATE", default_value = "core")]
    krate: String,
    /// A commit to compare with.
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
    /// Names the parameters of type bool, and the parameters, results and fields with tuples.
    #[arg(long)]
    list: bool,
}

/// A table with a column for each state of the crate.
///
/// # Errors
/// There is no such commit or crate, or a file of it is not Rust.
pub(crate) fn api(repository: &Repository, arguments: &ApiArguments) -> Result<StyleReport, String> {
    let folder = format!("crates/{}/src", arguments.krate);
    let read = |revision: Option<&str>| -> Result<ApiSurface, String> {
        Ok(surface(&modules::read(&repository.sources(&folder, revision)?, &folder)?))
    };
    let now = read(None)?;
    let mut columns = Vec::new();
    if let Some(revision) = &arguments.revision {
        columns.push((revision.as_str(), read(Some(revision))?));
    }
    columns.push(("now", now));
    let mut text = table(&arguments.krate, &columns);
    if arguments.list {
        for (name, surface) in &columns {
            let _ = writeln!(text, "\nbool and tuples, {name}:");
            for place in &surface.unnamed {
                let _ = writeln!(text, "  {place}");
            }
        }
    }
    Ok(StyleReport { text, fails: false })
}

fn table(krate: &str, columns: &[(&str, ApiSurface)]) -> String {
    type Row = (&'static str, fn(&ApiSurface) -> usize);
    const ROWS: [Row; 15] = [
        ("names at the root", |surface| surface.exports_at_root),
        ("public modules", |surface| surface.modules),
        ("structs", |surface| surface.structs),
        ("enums", |surface| surface.enums),
        ("type aliases", |surface| surface.aliases),
        ("traits", |surface| surface.traits),
        ("functions", |surface| surface.functions),
        ("methods", |surface| surface.methods),
        ("fields", |surface| surface.fields),
        ("variants", |surface| surface.variants),
        ("constants", |surface| surface.constants),
        ("non_exhaustive types", |surface| surface.non_exhaustive),
        ("bool parameters", |surface| surface.bool_parameters),
        ("unnamed tuples", |surface| surface.tuples),
        ("doc(hidden) items", |surface| surface.hidden),
    ];
    let mut text = format!("{krate:<24}");
    for (name, _) in columns {
        let _ = write!(text, "{name:>12}");
    }
    text.push('\n');
    for (name, count) in ROWS {
        let _ = write!(text, "{name:<24}");
        for (_, surface) in columns {
            let _ = write!(text, "{:>12}", count(surface));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn surface_of(files: &[(&str, &str)]) -> ApiSurface {
        let files: BTreeMap<String, String> =
            files.iter().map(|(path, text)| (format!("src/{path}"), (*text).to_owned())).collect();
        surface(&modules::read(&files, "src").unwrap())
    }

    #[test]
    fn only_what_the_root_leads_to_is_counted() {
        let surface = surface_of(&[
            ("lib.rs", "mod a; pub mod b; pub use a::{A, make as made};"),
            (
                "a.rs",
                "pub struct A { pub x: u8, y: u8 } pub struct Unseen; pub fn make() {} impl A { pub fn f(&self) {} fn g() {} }",
            ),
            (
                "b/mod.rs",
                "pub(crate) struct C; pub enum D { E, F(u8) } #[cfg(test)] mod tests { pub struct G; }",
            ),
        ]);
        let expected = ApiSurface {
            exports_at_root: 3,
            modules: 1,
            structs: 1,
            enums: 1,
            functions: 1,
            methods: 1,
            fields: 2,
            variants: 2,
            ..ApiSurface::default()
        };
        assert_eq!(surface, expected);
    }

    #[test]
    fn re_exports_are_followed_and_counted_once() {
        let surface = surface_of(&[
            ("lib.rs", "mod a; mod b; pub mod c { pub use crate::b::*; } pub use b::A; pub use core::fmt;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "pub use super::a::A; pub trait T { type X; const Y: u8; fn f(); }"),
        ]);
        let counted =
            [surface.exports_at_root, surface.structs, surface.traits, surface.methods, surface.constants];
        assert_eq!(counted, [3, 1, 1, 1, 1]);
        let all = surface_of(&[
            ("lib.rs", "mod a; pub use a::*;"),
            ("a.rs", "pub struct A; pub fn b() {} struct C;"),
        ]);
        assert_eq!(all.exports_at_root, 2);
    }

    #[test]
    fn hidden_items_are_counted_apart() {
        let surface = surface_of(&[
            ("lib.rs", "mod a; #[doc(hidden)] pub mod internal { pub use crate::a::{A, B}; } pub use a::B;"),
            ("a.rs", "pub struct A; pub struct B;"),
        ]);
        assert_eq!([surface.exports_at_root, surface.modules, surface.structs, surface.hidden], [1, 0, 1, 1]);
    }

    #[test]
    fn types_without_a_meaning_are_listed() {
        let surface = surface_of(&[(
            "lib.rs",
            "pub fn f(a: bool, b: &[(u8, u8)], c: impl Fn(bool) -> (u8, u8), d: ()) {} fn g(a: bool) {}
            pub struct T { pub i: (u8, u8), j: (u8, u8) }
            pub struct S; impl S { pub fn h(&self, e: Option<bool>) -> Vec<(u8, u8)> {} }",
        )]);
        assert_eq!(
            surface.unnamed,
            ["S::h: e: bool", "S::h: result: (…)", "T: i: (…)", "f: a: bool", "f: b: (…)"]
        );
        assert_eq!([surface.bool_parameters, surface.tuples], [2, 3]);
    }

    #[test]
    fn types_that_macros_make_are_counted() {
        let surface = surface_of(&[(
            "lib.rs",
            "bitflags! { pub struct Flags: u8 { const A = 1; const B = 2; } } new_key! { pub struct X; pub struct Y; struct Z; }",
        )]);
        assert_eq!([surface.structs, surface.constants], [3, 2]);
    }
}
