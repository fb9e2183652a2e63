//! `cargo xtask sample`: documentation of public items taken at random, to be read as a newcomer would.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::StyleReport;
use crate::conditions::{BuildCondition, exclude_each_other};
use crate::definitions::{Definition, DefinitionKind, DefinitionVisibility};
use crate::repository::Repository;
use crate::workspace::{DefiningFile, defining_files};

/// Lines of a signature that are shown.
const LONGEST_SIGNATURE: usize = 8;

/// Prints the documentation of public items taken at random, of each package equally many.
#[derive(Debug, Args)]
pub(crate) struct SampleArguments {
    /// Where the random numbers begin: the same number gives the same items. Another one each time unless it is given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The number of items.
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: usize,
}

/// A public item with documentation.
struct DocumentedItem<'a> {
    file: &'a DefiningFile,
    definition: &'a Definition,
}

/// The items.
///
/// # Errors
/// A file that can't be read or is not Rust.
pub(crate) fn sample(repository: &Repository, arguments: &SampleArguments) -> Result<StyleReport, String> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() % 100_000);
    let seed = arguments.seed.unwrap_or_else(clock);
    let files = defining_files(repository)?;
    let items = documented(&files);
    let number = items.values().map(Vec::len).sum::<usize>();
    let mut text = format!("{number} public items with documentation; --seed {seed}\n");
    for item in pick(items, arguments.count, &mut RandomNumbers(seed)) {
        let path = &item.file.file.path;
        let (name, line) = (item.path(), item.definition.line);
        let signature = signature(&repository.read(path)?, line);
        let _ = writeln!(text, "\n{}\n{name}  ({path}:{line})\n\n{signature}", "-".repeat(100));
        for line in item.definition.documentation.lines() {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        }
    }
    Ok(StyleReport { text, fails: false })
}

/// The items of each package.
fn documented(files: &[DefiningFile]) -> BTreeMap<&str, Vec<DocumentedItem<'_>>> {
    let in_package =
        |file: &&DefiningFile| file.file.path.starts_with("crates/") && file.file.path.contains("/src/");
    let files: Vec<&DefiningFile> = files.iter().filter(in_package).collect();
    let definitions =
        || files.iter().flat_map(|file| file.definitions.iter().map(move |definition| (*file, definition)));
    let public_types: BTreeSet<(&str, &str)> = definitions()
        .filter(|(_, definition)| definition.kind == DefinitionKind::Type && is_public(definition))
        .map(|(file, definition)| (file.file.package.as_str(), definition.name.as_str()))
        .collect();
    let mut items: BTreeMap<&str, Vec<DocumentedItem>> = BTreeMap::new();
    for (file, definition) in definitions().filter(|(_, definition)| is_public(definition)) {
        let package = file.file.package.as_str();
        let owner = definition.owner.as_deref().is_none_or(|owner| public_types.contains(&(package, owner)));
        if owner && !definition.documentation.is_empty() {
            items.entry(package).or_default().push(DocumentedItem { file, definition });
        }
    }
    items
}

/// Whether a definition is public by itself, and built outside of tests.
fn is_public(definition: &Definition) -> bool {
    let without_tests = BuildCondition::Not(Box::new(BuildCondition::Set("test".to_owned(), None)));
    definition.visibility == DefinitionVisibility::Public
        && definition.kind != DefinitionKind::Implementation
        && !matches!(definition.kind, DefinitionKind::Module { .. })
        && !exclude_each_other(&definition.conditions, &[without_tests])
}

/// Items taken by turns from packages in a random order.
fn pick<'a>(
    items: BTreeMap<&str, Vec<DocumentedItem<'a>>>,
    count: usize,
    random: &mut RandomNumbers,
) -> Vec<DocumentedItem<'a>> {
    let mut packages: Vec<Vec<DocumentedItem>> = items.into_values().collect();
    let mut picked = Vec::new();
    let mut round = Vec::new();
    while picked.len() < count {
        if round.is_empty() {
            packages.retain(|items| !items.is_empty());
            round = (0..packages.len()).collect();
        }
        if packages.is_empty() {
            break;
        }
        let package = round.swap_remove(random.below(round.len()));
        let items = &mut packages[package];
        picked.push(items.swap_remove(random.below(items.len())));
    }
    picked
}

impl DocumentedItem<'_> {
    fn path(&self) -> String {
        let owner = self.definition.owner.iter().map(String::as_str);
        let package = self.file.file.package.replace('-', "_");
        [package.as_str()]
            .into_iter()
            .chain(owner)
            .chain([self.definition.name.as_str()])
            .collect::<Vec<_>>()
            .join("::")
    }
}

/// The source of an item from its line to its body.
fn signature(source: &str, line: usize) -> String {
    let mut shown = Vec::new();
    for line in source.lines().skip(line - 1).take(LONGEST_SIGNATURE) {
        shown.push(line);
        if line.trim_end().ends_with(['{', ';', '}', ','])
            && !line.trim_start().starts_with('&')
            && is_whole(&shown)
        {
            break;
        }
    }
    shown.join("\n").trim_end_matches([' ', '{']).to_owned()
}

/// Whether all brackets of a signature are closed.
fn is_whole(lines: &[&str]) -> bool {
    let number = |bracket| lines.iter().map(|line| line.matches(bracket).count()).sum::<usize>();
    number('(') == number(')')
}

/// The generator `SplitMix64`; nothing depends on how good its numbers are.
struct RandomNumbers(u64);

impl RandomNumbers {
    /// A number below another, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::definitions;
    use crate::repository::RepositoryFile;

    fn file(package: &str, source: &str) -> DefiningFile {
        DefiningFile {
            file: RepositoryFile {
                path: format!("crates/{package}/src/lib.rs"),
                package: package.to_owned(),
            },
            definitions: definitions(source).unwrap(),
        }
    }

    fn paths(files: &[DefiningFile]) -> Vec<String> {
        documented(files).into_values().flatten().map(|item| item.path()).collect()
    }

    #[test]
    fn items_are_public_documented_and_no_tests() {
        let source = "
            /// Yes.
            pub struct A { /// Yes.
                pub b: u8, /// No.
                c: u8, pub d: u8 }
            impl A { /// Yes.
                pub fn e(&self) {} /// No.
                fn f() {} }
            /// Yes.
            pub enum G { /// Yes.
                H }
            /// No.
            pub(crate) struct I { /// No.
                pub j: u8 }
            #[cfg(test)] mod tests { /// No.
                pub fn k() {} }";
        assert_eq!(
            paths(&[file("a-b", source)]),
            ["a_b::A", "a_b::A::b", "a_b::A::e", "a_b::G", "a_b::G::H"]
        );
    }

    #[test]
    fn each_package_has_its_turn_and_no_item_comes_twice() {
        let many = "/// .\npub struct A; /// .\npub struct B; /// .\npub struct C;";
        assert_eq!(
            paths(&[
                file("a", "pub trait T { /// .\n fn f(); }"),
                file("a", "impl E { /// .\npub fn g() {} }")
            ]),
            ["a::T::f"]
        );
        let files = [file("a", many), file("b", many), file("c", "/// .\npub struct A;")];
        let picked = |count, seed| {
            let items = pick(documented(&files), count, &mut RandomNumbers(seed));
            items.iter().map(DocumentedItem::path).collect::<Vec<_>>()
        };
        for seed in 0..20 {
            let mut packages: Vec<String> = picked(3, seed).iter().map(|path| path[..1].to_owned()).collect();
            packages.sort();
            assert_eq!(packages, ["a", "b", "c"]);
            let mut all = picked(100, seed);
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 7);
            assert_eq!(picked(5, seed), picked(5, seed));
        }
        assert_ne!(picked(7, 1), picked(7, 2));
    }

    #[test]
    fn signature_ends_before_the_body() {
        assert_eq!(signature("a\npub fn f(a: u8) -> u8 {\n    1\n}", 2), "pub fn f(a: u8) -> u8");
        assert_eq!(
            signature("pub fn f(\n    a: u8,\n    b: u8,\n) {\n}", 1),
            "pub fn f(\n    a: u8,\n    b: u8,\n)"
        );
        assert_eq!(signature("    pub a: u8,\n    pub b: u8,", 1), "    pub a: u8,");
    }
}
