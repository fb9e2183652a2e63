//! Resolves paths to the files that define the named items.

use std::collections::{BTreeMap, BTreeSet};

use super::Arrow;
use super::parse::{ParsedModule, modules};

/// The names that were looked up for one path, each in its module. Kept because globs can lead in circles.
type Seen<'a> = BTreeSet<(usize, &'a str)>;

/// The target of a path.
#[derive(Clone, Copy, PartialEq)]
enum PathTarget {
    Module(usize),
    /// An item, as the module that defines it.
    Item(usize),
}

/// The files and the arrows of all crates in one `src`: the library and the programs.
///
/// # Errors
/// As [`modules`].
pub(crate) fn arrows(
    files: &BTreeMap<String, String>,
) -> Result<(BTreeSet<String>, BTreeSet<Arrow>), String> {
    let mut used = BTreeSet::new();
    let mut arrows = BTreeSet::new();
    for root in files.keys().filter(|file| is_root(file)) {
        let modules = modules(files, root)?;
        arrows.extend((0..modules.len()).flat_map(|at| from(&modules, at)));
        used.extend(modules.into_iter().map(|module| module.file));
    }
    Ok((used, arrows))
}

fn is_root(file: &str) -> bool {
    file.ends_with("src/lib.rs") || file.ends_with("src/main.rs") || file.contains("src/bin/")
}

fn from(modules: &[ParsedModule], at: usize) -> impl Iterator<Item = Arrow> {
    let module = &modules[at];
    let imports = module.imports.iter().filter(|import| !import.reexport).map(|import| &import.path);
    imports
        .chain(&module.paths)
        .filter_map(move |path| resolve(modules, at, path, &mut Seen::new()))
        .map(|found| match found {
            PathTarget::Module(to) | PathTarget::Item(to) => &modules[to].file,
        })
        .filter(|to| **to != module.file)
        .map(|to| (module.file.clone(), to.clone()))
}

/// The target of a path in the module `at`; `None` if the path leads out of the crate or names something local.
fn resolve<'a>(
    modules: &'a [ParsedModule],
    at: usize,
    path: &'a [String],
    seen: &mut Seen<'a>,
) -> Option<PathTarget> {
    let (first, rest) = path.split_first()?;
    let mut found = match first.as_str() {
        "crate" => PathTarget::Module(0),
        "self" => PathTarget::Module(at),
        "super" => PathTarget::Module(modules[at].parent?),
        // a variable may have the name of a module; code never has a module's name alone
        name if rest.is_empty() => {
            let found = imported(modules, at, name, seen)?;
            return matches!(found, PathTarget::Item(_)).then_some(found);
        }
        name => named(modules, at, name, seen)?,
    };
    for name in rest {
        let PathTarget::Module(inside) = found else { break };
        let next = match name.as_str() {
            "super" => modules[inside].parent.map(PathTarget::Module),
            "self" => Some(found),
            name => named(modules, inside, name, seen),
        };
        // an item that is not found, such as an item that a macro defines, counts for the module's own file
        found = next.unwrap_or(PathTarget::Item(inside));
    }
    Some(found)
}

/// The target of a name in the code of a module.
fn named<'a>(
    modules: &'a [ParsedModule],
    at: usize,
    name: &'a str,
    seen: &mut Seen<'a>,
) -> Option<PathTarget> {
    let module = &modules[at];
    if let Some(&child) = module.children.get(name) {
        return Some(PathTarget::Module(child));
    }
    if module.items.contains(name) {
        return Some(PathTarget::Item(at));
    }
    imported(modules, at, name, seen)
}

fn imported<'a>(
    modules: &'a [ParsedModule],
    at: usize,
    name: &'a str,
    seen: &mut Seen<'a>,
) -> Option<PathTarget> {
    if !seen.insert((at, name)) {
        return None;
    }
    let imports = &modules[at].imports;
    if let Some(import) = imports.iter().find(|import| import.name.as_deref() == Some(name)) {
        return resolve(modules, at, &import.path, seen);
    }
    imports.iter().filter(|import| import.name.is_none()).find_map(|glob| {
        match resolve(modules, at, &glob.path, seen)? {
            PathTarget::Module(inside) if inside != at => named(modules, inside, name, seen),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arrows of a crate, `from -> to` without `src/` and `.rs`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(file, text)| (format!("src/{file}.rs"), (*text).to_owned())).collect();
        let short = |file: &str| file.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        let (_, arrows) = arrows(&files).unwrap();
        arrows.iter().map(|(from, to)| format!("{} -> {}", short(from), short(to))).collect()
    }

    #[test]
    fn use_and_inline_path_are_arrows() {
        let files = [
            ("lib", "mod a; mod b; mod c;"),
            ("a", "use super::b::B; fn f() { crate::c::g(); }"),
            ("b", "pub struct B;"),
            ("c", "pub fn g() {}"),
        ];
        assert_eq!(found(&files), ["a -> b", "a -> c"]);
    }

    #[test]
    fn path_through_a_reexport_leads_to_the_definition() {
        let files = [
            ("lib", "mod a; mod b; pub use b::{B, deep::*};"),
            ("a", "use crate::B; use super::Deep; use crate::Unknown;"),
            ("b/mod", "pub mod deep; pub use self::deep::Deep as B;"),
            ("b/deep", "pub struct Deep;"),
        ];
        assert_eq!(found(&files), ["a -> b/deep", "a -> lib"]);
    }

    #[test]
    fn reexport_is_an_arrow_only_when_its_file_uses_it() {
        let b = ("b", "pub struct B; pub fn name() {}");
        assert!(found(&[("lib", "mod b; pub use b::B;"), b]).is_empty());
        assert_eq!(found(&[("lib", "mod b; pub use b::B; struct S(B);"), b]), ["lib -> b"]);
        assert_eq!(found(&[("lib", "mod b; pub use b::name; fn f() { name() }"), b]), ["lib -> b"]);
    }

    #[test]
    fn variable_with_the_name_of_a_module_is_no_arrow() {
        let files = [("lib", "mod b; fn f(b: u8) -> u8 { b }"), ("b", "")];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn path_through_an_imported_module_is_followed() {
        let files = [
            ("lib", "mod a; mod b;"),
            ("a", "use super::b::{self, B}; fn f() -> b::Other { todo!() }"),
            ("b/mod", "pub struct B; mod other; pub use other::Other;"),
            ("b/other", "pub struct Other;"),
        ];
        assert_eq!(found(&files), ["a -> b/mod", "a -> b/other"]);
    }

    #[test]
    fn module_inside_a_file_is_that_file() {
        let files = [
            ("lib", "mod a; mod b { pub struct B; pub mod c; }"),
            ("a", "use crate::b::B; mod inner { use super::super::b::c::C; }"),
            ("b/c", "use super::B; pub struct C;"),
        ];
        assert_eq!(found(&files), ["a -> b/c", "a -> lib", "b/c -> lib"]);
    }

    #[test]
    fn other_crates_and_endless_chains_are_no_arrows() {
        let files = [
            ("lib", "mod a; mod b; use std::fmt; use fmt::Debug; use b::b::*;"),
            ("a", "use a::a; pub use crate::b::X; fn f() { X; ::b::c(); fmt::g() }"),
            ("b", "pub use crate::a::X;"),
        ];
        assert_eq!(found(&files), ["lib -> b"]);
    }

    #[test]
    fn files_are_those_that_some_module_has() {
        let files = [("src/lib.rs", "mod a; #[cfg(test)] mod t;"), ("src/a.rs", ""), ("src/t.rs", "")];
        let (files, _) = arrows(&files.map(|(file, text)| (file.into(), text.into())).into()).unwrap();
        assert_eq!(files.iter().collect::<Vec<_>>(), ["src/a.rs", "src/lib.rs"]);
    }
}
