//! Everything that a page may name: files, definitions, words of command lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::claims::PageClaim;
use super::command_words::CommandWords;
use crate::definitions::DefinitionKind;
use crate::repository::Repository;
use crate::workspace::{DefiningFile, defining_files};

/// Crates and types of others that pages may name by a path.
const FOREIGN_ROOTS: [&str; 12] = [
    "std", "alloc", "libc", "nix", "rustix", "serde", "clap", "tracing", "proptest", "Vec", "Option",
    "Default",
];

/// Names of the language and its standard library that pages use alone.
const FOREIGN_NAMES: [&str; 14] = [
    "Vec", "Option", "Result", "String", "Box", "Arc", "Default", "Drop", "Send", "None", "no_std", "unsafe",
    "u64", "u32",
];

/// Methods that a derive gives to any type.
const DERIVED_METHODS: [&str; 4] = ["default", "clone", "from", "into"];

/// The things that exist in the repository.
#[derive(Debug, Default)]
pub(crate) struct KnownNames {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
    /// Definitions, modules, packages and features.
    names: BTreeSet<String>,
    /// Types and traits, each with its members, the traits it implements and the types it stands for.
    members: BTreeMap<String, BTreeSet<String>>,
    /// Names of the control files and the like.
    texts: BTreeSet<String>,
    /// For each module, all that its files speak of.
    modules: BTreeMap<String, BTreeSet<String>>,
    words: CommandWords,
}

impl KnownNames {
    /// Reads the repository.
    ///
    /// # Errors
    /// A file that can't be read or is not Rust.
    pub(crate) fn of(repository: &Repository) -> Result<KnownNames, String> {
        let mut known = KnownNames::default();
        for file in repository.files()? {
            for folder in Path::new(&file.path).ancestors().skip(1).filter_map(Path::to_str) {
                known.folders.insert(folder.to_owned());
            }
            if Path::new(&file.path).ends_with("Cargo.toml") {
                known.add_manifest(&repository.read(&file.path)?, &file.package);
            }
            known.files.insert(file.path);
        }
        for file in defining_files(repository)? {
            let source = repository.read(&file.file.path)?;
            known.add_source(&file, &source);
            if file.file.path.starts_with("crates/cli/src/") {
                known.words.add_program(&source)?;
            }
        }
        known.words.add_chores(&repository.read("xtask/src/main.rs")?);
        known.words.options.extend(["help", "version"].map(str::to_owned));
        Ok(known)
    }

    fn add_manifest(&mut self, manifest: &str, package: &str) {
        self.names.insert(package.to_owned());
        let features = manifest.split("[features]\n").nth(1).unwrap_or("");
        let lines = features.lines().take_while(|line| !line.starts_with('['));
        self.names.extend(lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())));
    }

    fn add_source(&mut self, file: &DefiningFile, source: &str) {
        for definition in &file.definitions {
            self.names.insert(definition.name.clone());
            if let Some(owner) = &definition.owner {
                self.members.entry(owner.clone()).or_default().insert(definition.name.clone());
            }
            if definition.kind == DefinitionKind::Type {
                self.members.entry(definition.name.clone()).or_default().extend(definition.alias_of.clone());
            }
        }
        let (mut mentioned, mut texts) = (BTreeSet::new(), BTreeSet::new());
        if let Ok(tokens) = source.parse() {
            mention(tokens, &mut mentioned, &mut texts);
        }
        // elsewhere stand the texts of tests
        if Path::new(&file.file.path).ancestors().any(|above| above.ends_with("src"))
            && !file.file.path.starts_with("xtask/")
        {
            self.texts.extend(texts);
        }
        let inline = file
            .definitions
            .iter()
            .filter(|definition| matches!(definition.kind, DefinitionKind::Module { .. }));
        let modules = module_names(&file.file.path, &file.file.package);
        for module in modules.into_iter().chain(inline.map(|module| module.name.clone())) {
            self.names.insert(module.clone());
            self.modules.entry(module).or_default().extend(mentioned.iter().cloned());
        }
    }

    /// Whether a name is that of a folder, wherever.
    pub(crate) fn is_folder(&self, name: &str) -> bool {
        self.folders.iter().any(|folder| Path::new(folder).ends_with(name))
    }

    /// Whether something is there as a page says.
    pub(crate) fn has(&self, claim: &PageClaim, page: &str) -> bool {
        match claim {
            PageClaim::Path(path) => self.has_path(path),
            PageClaim::Link(target) => self.has_link(target, page),
            PageClaim::Qualified(parts) => self.has_qualified(parts),
            PageClaim::Symbol(name) => {
                self.names.contains(name)
                    || self.texts.contains(name)
                    || FOREIGN_NAMES.contains(&name.as_str())
            }
            PageClaim::Chore(chore) => self.words.chores.contains(chore),
            PageClaim::Verb(verb) => self.words.verbs.contains(verb),
            PageClaim::VerbOption(option) => self.words.options.contains(option),
        }
    }

    fn has_path(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().chain(&self.folders).any(|there| Path::new(there).ends_with(path))
    }

    fn has_link(&self, target: &str, page: &str) -> bool {
        let mut parts: Vec<&str> = page.split('/').collect();
        parts.pop();
        for part in target.trim_end_matches('/').split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let path = parts.join("/");
        self.files.contains(&path) || self.folders.contains(&path)
    }

    fn has_qualified(&self, parts: &[String]) -> bool {
        let relative = ["crate", "self", "super"];
        let parts: Vec<&str> =
            parts.iter().map(String::as_str).skip_while(|part| relative.contains(part)).collect();
        match parts.as_slice() {
            [] => true,
            [first, ..] if FOREIGN_ROOTS.contains(first) => true,
            [one] => self.names.contains(*one),
            [before @ .., last] => {
                let owner = before.last().copied().unwrap_or("");
                before.iter().all(|part| {
                    self.modules.contains_key(*part) || self.members.contains_key(*part) || is_parameter(part)
                }) && (self.has_member(owner, last)
                    || self.modules.get(owner).is_some_and(|mentioned| mentioned.contains(*last))
                        && self.names.contains(*last)
                    || is_parameter(owner) && self.names.contains(*last))
            }
        }
    }

    /// Whether a type has a member itself, by a trait or by the type that it stands for.
    fn has_member(&self, owner: &str, name: &str) -> bool {
        let Some(members) = self.members.get(owner) else { return false };
        let inherited = |member: &String| {
            member != owner && self.members.get(member).is_some_and(|members| members.contains(name))
        };
        members.contains(name) || DERIVED_METHODS.contains(&name) || members.iter().any(inherited)
    }
}

/// A type's parameter, such as `S`.
fn is_parameter(name: &str) -> bool {
    name.len() == 1 && name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// All identifiers of a source, and the content of its plain strings.
fn mention(tokens: TokenStream, names: &mut BTreeSet<String>, texts: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                names.insert(name.to_string());
            }
            TokenTree::Group(group) => mention(group.stream(), names, texts),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                    texts.insert(text.to_owned());
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
}

/// The names of the modules that a file belongs to: its own, those of its folders and its crate.
fn module_names(path: &str, package: &str) -> Vec<String> {
    let without_end = path.trim_end_matches(".rs");
    let parts = without_end.split('/').map(str::to_owned);
    parts.chain([package.replace('-', "_")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::definitions;
    use crate::repository::RepositoryFile;

    fn known() -> KnownNames {
        let source = "
            pub struct Engine { hits: u8 }
            pub type Motor = Engine;
            impl Engine { pub fn write(&self) {} }
            trait Host { type Task; fn place(&self); }
            impl Host for Engine {}
            enum Need { Veto }
            pub fn apply() {}
            const NAME: &str = \"notify_on_release\";";
        let path = "crates/core/src/settings.rs".to_owned();
        let file = DefiningFile {
            file: RepositoryFile { path: path.clone(), package: "penfold-core".into() },
            definitions: definitions(source).unwrap(),
        };
        let mut known = KnownNames::default();
        known.add_source(&file, source);
        known.add_manifest(
            "[package]\n[features]\nloader = []\n[dependencies]\nlibc = \"1\"\n",
            "penfold-core",
        );
        known.files.insert(path);
        known.folders.extend(["crates", "crates/core", "crates/core/src"].map(str::to_owned));
        known
    }

    fn has_path(path: &str) -> bool {
        known().has(&PageClaim::Path(path.to_owned()), "README.md")
    }

    fn has_qualified(path: &str) -> bool {
        known().has(&PageClaim::Qualified(path.split("::").map(str::to_owned).collect()), "README.md")
    }

    #[test]
    fn path_may_be_the_end_of_one() {
        for path in
            ["settings.rs", "core/src/settings.rs", "crates/core", "core/", "crates/core/src/settings.rs"]
        {
            assert!(has_path(path), "{path}");
        }
        for path in ["ettings.rs", "cli/src/settings.rs", "crates/cor", "settings.rs/x"] {
            assert!(!has_path(path), "{path}");
        }
    }

    #[test]
    fn link_is_relative_to_its_page() {
        let has = |target: &str, page: &str| known().has(&PageClaim::Link(target.to_owned()), page);
        assert!(has("crates/core/src/settings.rs", "README.md"));
        assert!(has("../crates/core/", "docs/a.md"));
        assert!(!has("crates/core", "docs/a.md"));
        assert!(!has("settings.rs", "README.md"));
    }

    #[test]
    fn member_belongs_to_its_type_trait_or_alias() {
        for path in [
            "Engine::write",
            "Engine::hits",
            "Engine::place",
            "Motor::write",
            "Host::Task",
            "Need::Veto",
            "S::Task",
            "crate::settings::apply",
            "settings::Engine::write",
            "penfold_core::Engine",
            "std::thread::spawn",
        ] {
            assert!(has_qualified(path), "{path}");
        }
        for path in [
            "Engine::read",
            "Host::write",
            "Need::Task",
            "Gone::write",
            "gone::apply",
            "settings::gone",
            "settings::gone::apply",
        ] {
            assert!(!has_qualified(path), "{path}");
        }
    }

    #[test]
    fn symbol_is_a_definition_a_control_file_or_a_feature() {
        for name in ["Engine", "hits", "notify_on_release", "loader", "Vec"] {
            assert!(known().has(&PageClaim::Symbol(name.to_owned()), "README.md"), "{name}");
        }
        for name in ["Gone", "libc", "hit"] {
            assert!(!known().has(&PageClaim::Symbol(name.to_owned()), "README.md"), "{name}");
        }
    }
}
