//! `cargo xtask pages`: what the pages name and the repository does not have.

mod allowed;
mod claims;
mod command_words;
mod known;
mod spans;

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;

use crate::StyleReport;
use crate::repository::Repository;
use allowed::ALLOWED_NAMES;
use claims::{PageClaim, claims};
use known::KnownNames;
use spans::{PageSpan, markdown_spans, picture_spans};

/// Pages whose single words in backticks are penfold's own names; elsewhere most are the kernel's or a user's.
const PAGES_OF_SYMBOLS: [&str; 3] = ["CONTRIBUTING.md", "docs/architecture.md", "docs/architecture.svg"];

/// A page that quotes paths of the kernel's sources.
const HISTORY: &str = "docs/history.md";

/// Lists paths, symbols and commands that a page names and that do not exist.
///
/// A path may be the end of one. Single names are looked at in CONTRIBUTING.md and docs/architecture.md only.
#[derive(Debug, Args)]
pub(crate) struct PagesArguments {
    /// Fails if anything is found.
    #[arg(long)]
    check: bool,
}

/// Each finding with its page and line.
///
/// # Errors
/// A file that can't be read or is not Rust.
pub(crate) fn pages(repository: &Repository, arguments: &PagesArguments) -> Result<StyleReport, String> {
    let known = KnownNames::of(repository)?;
    let (mut text, mut names, mut found) = (String::new(), 0, 0);
    let mut allowed = vec![false; ALLOWED_NAMES.len()];
    let pages: Vec<String> =
        repository.files()?.into_iter().map(|file| file.path).filter(|path| is_page(path)).collect();
    for page in &pages {
        let claimed = page_claims(page, &repository.read(page)?, &known);
        names += claimed.len();
        for (line, claim) in claimed.into_iter().filter(|(_, claim)| !known.has(claim, page)) {
            let name = claim.shown();
            if let Some(at) =
                ALLOWED_NAMES.iter().position(|entry| page.ends_with(entry.page) && entry.name == name)
            {
                allowed[at] = true;
            } else if !(matches!(claim, PageClaim::Path(_)) && repository.ignores(&name)?) {
                let _ = writeln!(text, "{page}:{line}: no {} `{name}`", claim.kind());
                found += 1;
            }
        }
    }
    for (entry, _) in ALLOWED_NAMES.iter().zip(&allowed).filter(|(_, used)| !**used) {
        let (page, name) = (entry.page, entry.name);
        let _ = writeln!(text, "xtask/style/src/pages/allowed.rs: {page}: `{name}` needs no exception");
        found += 1;
    }
    let _ = writeln!(text, "{} pages, {names} names on them, {found} findings", pages.len());
    Ok(StyleReport { text, fails: arguments.check && found > 0 })
}

fn is_page(path: &str) -> bool {
    has_extension(path, "md") || (path.starts_with("docs/") && has_extension(path, "svg"))
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|there| there == extension)
}

/// The claims of a page, each with its line.
fn page_claims(page: &str, text: &str, known: &KnownNames) -> Vec<(usize, PageClaim)> {
    let spans = match page {
        "CHANGELOG.md" => markdown_spans(&unreleased(text), false),
        page if has_extension(page, "svg") => picture_spans(text),
        page => markdown_spans(text, page == "SPECIFICATION.md"),
    };
    let symbols = PAGES_OF_SYMBOLS.contains(&page);
    let claims = |span: PageSpan| {
        let claims = claims(&span, symbols, |folder| known.is_folder(folder));
        claims.into_iter().map(move |claim| (span.line, claim))
    };
    let quoted =
        |claim: &PageClaim| page == HISTORY && matches!(claim, PageClaim::Path(path) if !is_ours(path));
    spans.into_iter().flat_map(claims).filter(|(_, claim)| !quoted(claim)).collect()
}

/// Whether a path begins at the top of the repository.
fn is_ours(path: &str) -> bool {
    let folders = ["crates/", "docs/", "tests/", "modules/", "xtask/", "fuzz/", "benches/", "examples/"];
    folders.iter().any(|folder| path.starts_with(folder))
}

/// The text with empty lines in place of all that is not unreleased: later changes may have removed what an old release
/// had.
fn unreleased(text: &str) -> String {
    let mut inside = false;
    let mut keep = |line: &str| {
        if line.starts_with("## ") {
            inside = line.starts_with("## [Unreleased]");
        }
        inside
    };
    text.lines().map(|line| if keep(line) { line } else { "" }).collect::<Vec<_>>().join("\n")
}

impl PageClaim {
    fn kind(&self) -> &'static str {
        match self {
            PageClaim::Path(_) => "file or folder",
            PageClaim::Link(_) => "target of a link",
            PageClaim::Qualified(_) => "item",
            PageClaim::Symbol(_) => "definition",
            PageClaim::Chore(_) => "chore",
            PageClaim::Verb(_) => "verb",
            PageClaim::VerbOption(_) => "option",
        }
    }

    fn shown(&self) -> String {
        match self {
            PageClaim::Path(name)
            | PageClaim::Link(name)
            | PageClaim::Symbol(name)
            | PageClaim::Verb(name) => name.clone(),
            PageClaim::Qualified(parts) => parts.join("::"),
            PageClaim::Chore(name) => format!("cargo xtask {name}"),
            PageClaim::VerbOption(name) => format!("--{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unreleased_part_of_the_changelog_is_kept() {
        let text = "# C\n## [Unreleased] - 1\n`a`\n## [0.1]\n`b`\n";
        assert_eq!(unreleased(text), "\n## [Unreleased] - 1\n`a`\n\n");
    }

    #[test]
    fn single_names_are_looked_at_where_they_are_penfolds() {
        let names = |page: &str, text: &str| page_claims(page, text, &KnownNames::default()).len();
        assert_eq!(names("docs/architecture.md", "`Gone` and `gone_too`"), 2);
        assert_eq!(names("docs/differences.md", "`Gone` and `gone_too`"), 0);
        assert_eq!(names("docs/differences.md", "\n`Gone::gone`"), 1);
    }

    #[test]
    fn history_may_quote_paths_of_the_kernel() {
        let known = KnownNames::default();
        let text = "`kernel/cgroup/pids.c`, `cpuset.c` and `crates/gone.rs`";
        assert_eq!(page_claims("docs/history.md", text, &known).len(), 1);
        assert_eq!(page_claims("docs/cli.md", text, &known).len(), 3);
    }
}
