//! `cargo xtask names`: every type of the repository by its name, and names that more than one type has.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;

use crate::StyleReport;
use crate::conditions::exclude_each_other;
use crate::definitions::{Definition, DefinitionKind, DefinitionVisibility};
use crate::repository::Repository;
use crate::workspace::{DefiningFile, defining_files};

/// Lists each name of a type once, with its visibility, package and file.
///
/// Types are structs, enums, unions, traits and aliases of all packages, those of tests and of functions included.
#[derive(Debug, Args)]
pub(crate) struct NamesArguments {
    /// Fails if a name has more than one meaning, and lists only such names, with all their places.
    #[arg(long)]
    check: bool,
    /// Leaves out types that are not `pub`.
    #[arg(long)]
    public: bool,
}

/// A name that several types may have because it means the same in all of them.
struct SharedName {
    name: &'static str,
    /// Whether a definition has this meaning, given the others of its file.
    means: fn(&Definition, &[Definition]) -> bool,
}

const SHARED_NAMES: [SharedName; 2] = [
    // every controller abbreviates the context of its callbacks like this
    SharedName { name: "Ctx", means: |definition, _| definition.alias_of.as_deref() == Some("Context") },
    // the state that a controller keeps for each cgroup is `Subsystem::State` already
    SharedName { name: "State", means: |_, file| file.iter().any(is_state_of_controller) },
];

fn is_state_of_controller(definition: &Definition) -> bool {
    definition.kind == DefinitionKind::AssociatedType
        && definition.name == "State"
        && definition.alias_of.as_deref() == Some("State")
}

/// A type and its place.
struct TypePlace<'a> {
    definition: &'a Definition,
    file: &'a DefiningFile,
    /// The name is shared, and this is its meaning.
    shared: bool,
}

/// The table.
///
/// # Errors
/// A file that can't be read or is not Rust.
pub(crate) fn names(repository: &Repository, arguments: &NamesArguments) -> Result<StyleReport, String> {
    let files = defining_files(repository)?;
    let mut types = types(&files);
    if arguments.public {
        for places in types.values_mut() {
            places.retain(TypePlace::is_public);
        }
        types.retain(|_, places| !places.is_empty());
    }
    let double = |places: &Vec<TypePlace>| meanings(places) > 1;
    let doubles = types.values().filter(|places| double(places)).count();
    if arguments.check {
        types.retain(|_, places| double(places));
    }
    let mut text = table(&types);
    let _ = writeln!(text, "{} names, {doubles} of them with more than one meaning", types.len());
    Ok(StyleReport { text, fails: arguments.check && doubles > 0 })
}

/// All types by their name.
fn types(files: &[DefiningFile]) -> BTreeMap<&str, Vec<TypePlace<'_>>> {
    let mut types: BTreeMap<&str, Vec<TypePlace>> = BTreeMap::new();
    for file in files {
        for definition in file.definitions.iter().filter(|item| item.kind == DefinitionKind::Type) {
            let shared = SHARED_NAMES.iter().any(|shared| {
                shared.name == definition.name && (shared.means)(definition, &file.definitions)
            });
            types.entry(&definition.name).or_default().push(TypePlace { definition, file, shared });
        }
    }
    types
}

/// How many different things a name means at most in one build.
fn meanings(places: &[TypePlace]) -> usize {
    let mut meanings: Vec<&TypePlace> = Vec::new();
    for place in places {
        if !meanings.iter().any(|other| other.means_the_same_as(place)) {
            meanings.push(place);
        }
    }
    meanings.len()
}

impl TypePlace<'_> {
    fn is_public(&self) -> bool {
        self.definition.visibility == DefinitionVisibility::Public
    }

    /// Both are the shared meaning, or no build has both.
    fn means_the_same_as(&self, other: &TypePlace) -> bool {
        let conditions = (&self.definition.conditions, &other.definition.conditions);
        let one_file = self.file.file.package == other.file.file.package;
        (self.shared && other.shared) || (one_file && exclude_each_other(conditions.0, conditions.1))
    }
}

fn table(types: &BTreeMap<&str, Vec<TypePlace>>) -> String {
    let mut text = format!("{:<26}{:<9}{:<20}file\n", "name", "seen", "package");
    for (name, places) in types {
        for (at, place) in places.iter().enumerate() {
            let seen = match place.definition.visibility {
                DefinitionVisibility::Public => "public",
                DefinitionVisibility::Crate => "crate",
                DefinitionVisibility::Private => "private",
            };
            let name = if at == 0 { name } else { "" };
            let (package, path, line) =
                (&place.file.file.package, &place.file.file.path, place.definition.line);
            let _ = writeln!(text, "{name:<26}{seen:<9}{package:<20}{path}:{line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::definitions;
    use crate::repository::RepositoryFile;

    /// The names with more than one meaning among files of these packages.
    fn doubles(sources: &[(&str, &str)]) -> Vec<String> {
        let file = |(package, source): &(&str, &str)| DefiningFile {
            file: RepositoryFile { path: format!("{package}/lib.rs"), package: (*package).to_owned() },
            definitions: definitions(source).unwrap(),
        };
        let files: Vec<DefiningFile> = sources.iter().map(file).collect();
        let types = types(&files);
        types.iter().filter(|(_, places)| meanings(places) > 1).map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn name_in_two_packages_modules_or_functions_is_double() {
        assert_eq!(doubles(&[("a", "struct A; struct B;"), ("b", "enum A {}")]), ["A"]);
        assert_eq!(doubles(&[("a", "mod m { struct A; } #[cfg(test)] mod tests { struct A; }")]), ["A"]);
        assert_eq!(doubles(&[("a", "fn f() { struct A; } fn g() { type A = u8; }")]), ["A"]);
    }

    #[test]
    fn definitions_that_no_build_has_both_are_one() {
        let arch = |name: &str| format!("#[cfg(target_arch = \"{name}\")] mod arch {{ struct A; }}");
        let both = format!("{} {}", arch("x86_64"), arch("aarch64"));
        assert_eq!(doubles(&[("a", &both)]), [""; 0]);
        assert_eq!(doubles(&[("a", &arch("x86_64")), ("b", &arch("aarch64"))]), ["A"]);
        assert_eq!(doubles(&[("a", &format!("{both} struct A;"))]), ["A"]);
    }

    #[test]
    fn shared_name_is_double_only_in_another_meaning() {
        let alias = "type Ctx<'a> = Context<'a, P>;";
        assert_eq!(doubles(&[("a", alias), ("b", alias)]), [""; 0]);
        assert_eq!(doubles(&[("a", alias), ("b", alias), ("c", "struct Ctx;")]), ["Ctx"]);
        let state = "struct State; impl Subsystem for P { type State = State; }";
        assert_eq!(doubles(&[("a", state), ("b", state)]), [""; 0]);
        assert_eq!(doubles(&[("a", state), ("b", "struct State;")]), ["State"]);
    }

    #[test]
    fn table_has_a_row_for_each_place() {
        let files = [DefiningFile {
            file: RepositoryFile { path: "a.rs".into(), package: "p".into() },
            definitions: definitions("pub struct A;\nmod m { struct A; }").unwrap(),
        }];
        let text = table(&types(&files));
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1..], [vec!["A", "public", "p", "a.rs:1"], vec!["private", "p", "a.rs:2"]]);
    }
}
