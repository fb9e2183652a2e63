//! The things that a piece of a page says to exist.

use super::spans::{PageSpan, SpanKind};

/// Something that a page says to exist.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PageClaim {
    /// A file or folder, by its path or the end of it.
    Path(String),
    /// The target of a link.
    Link(String),
    /// `a::b::C`, by its parts.
    Qualified(Vec<String>),
    /// A name alone.
    Symbol(String),
    /// `cargo xtask CHORE`.
    Chore(String),
    /// `penfold VERB`.
    Verb(String),
    /// `penfold VERB --OPTION`.
    VerbOption(String),
}

/// Endings of the names of files that pages speak of.
const EXTENSIONS: [&str; 9] = ["rs", "md", "toml", "svg", "varlink", "c", "h", "service", "socket"];

/// The claims of a span. `symbols`: the page presents names alone as penfold's; `known_folder` knows the names of folders.
pub(crate) fn claims(span: &PageSpan, symbols: bool, known_folder: impl Fn(&str) -> bool) -> Vec<PageClaim> {
    let text = span.text.as_str();
    match span.kind {
        SpanKind::Link => link(text).into_iter().collect(),
        SpanKind::CodeLine => command(text),
        SpanKind::Code => {
            let mut found = command(text);
            let words = text.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '"']));
            found.extend(
                words
                    .filter(|word| is_path(word, &known_folder))
                    .map(|word| PageClaim::Path(word.to_owned())),
            );
            found.extend(qualified(text));
            if symbols && !text.contains("::") {
                found.extend(symbol(text).map(PageClaim::Symbol));
            }
            found
        }
    }
}

/// Links to other pages and files, without those to the web and within the page.
fn link(target: &str) -> Option<PageClaim> {
    let path = target.split('#').next()?;
    (!path.is_empty() && !path.contains(':')).then(|| PageClaim::Link(path.to_owned()))
}

fn command(text: &str) -> Vec<PageClaim> {
    let text = text.trim_start().trim_start_matches("$ ");
    let words: Vec<&str> = text.split_whitespace().take_while(|word| *word != "--" && *word != "#").collect();
    let is_name =
        |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    match words.as_slice() {
        ["cargo", "xtask", rest @ ..] => rest
            .first()
            .filter(is_name)
            .map(|chore| PageClaim::Chore((*chore).to_owned()))
            .into_iter()
            .collect(),
        ["penfold", rest @ ..] => {
            let depth = if rest.first() == Some(&"module") { 2 } else { 1 };
            let verbs =
                rest.iter().take(depth).take_while(is_name).map(|verb| PageClaim::Verb((*verb).to_owned()));
            let options = rest.iter().filter_map(|word| {
                let option = word.trim_start_matches('[').strip_prefix("--")?;
                let name = option.split(['=', ']', '[']).next().filter(|name| !name.is_empty())?;
                Some(PageClaim::VerbOption(name.to_owned()))
            });
            verbs.chain(options).collect()
        }
        _ => Vec::new(),
    }
}

fn is_path(word: &str, known_folder: impl Fn(&str) -> bool) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c));
    let first = word.split('/').next().unwrap_or("");
    if !plain || first.is_empty() || word.starts_with('-') || [".", ".."].contains(&first) {
        return false;
    }
    let name = word.rsplit('/').next().unwrap_or("");
    let file = name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && EXTENSIONS.contains(&end));
    file || (word.contains('/') && (word.ends_with('/') || known_folder(first)))
}

/// All `a::b` in a text; `a::` alone is a module.
fn qualified(text: &str) -> Vec<PageClaim> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let before = &rest[..at];
        let start = before
            .rfind(|c: char| !is_word(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let end = at + rest[at..].find(|c: char| !is_word(c) && c != ':').unwrap_or(rest.len() - at);
        let parts: Vec<String> =
            rest[start..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if !parts.is_empty() && start < at {
            found.push(PageClaim::Qualified(parts));
        }
        rest = &rest[end.max(at + 2)..];
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name in `Name`, `Name<T>`, `&mut Name`, `name()`, `name(some, thing)`, `name!` and `Name { … }`.
fn symbol(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('&').trim_start_matches("mut ");
    let end = bare.find(|c: char| !is_word(c)).unwrap_or(bare.len());
    let (name, rest) = bare.split_at(end);
    // clone(2) is a page of the manual
    let manual = rest.len() == 3 && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    let call = (rest.starts_with('(') && rest.ends_with(')') && !manual) || rest == "!";
    let whole = rest.is_empty()
        || call
        || (rest.starts_with('<') && rest.ends_with('>'))
        || (rest.starts_with(" {") && rest.ends_with('}'));
    let name_of_rust = !name.starts_with(|c: char| c.is_ascii_digit());
    // EAGAIN, PTRACE_SEIZE and the like are the kernel's
    (whole && name_of_rust && name.contains(|c: char| c.is_ascii_lowercase())).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<PageClaim> {
        let span = PageSpan { line: 1, kind: SpanKind::Code, text: text.to_owned() };
        claims(&span, true, |folder| ["crates", "host"].contains(&folder))
    }

    fn symbol_of(text: &str) -> Option<String> {
        of(text).into_iter().find_map(|claim| match claim {
            PageClaim::Symbol(name) => Some(name),
            _ => None,
        })
    }

    #[test]
    fn files_and_folders_of_the_repository_are_paths() {
        for path in ["crates/core", "host/control.rs", "stops.rs", "os/", "Cargo.toml"] {
            assert_eq!(of(path), [PageClaim::Path(path.to_owned())], "{path}");
        }
        let command = of("cargo xtask test crates/cli/tests/limits.rs -- --exact one");
        assert_eq!(
            command,
            [PageClaim::Chore("test".into()), PageClaim::Path("crates/cli/tests/limits.rs".into())]
        );
    }

    #[test]
    fn other_paths_are_not() {
        for other in [
            "/proc/cgroups",
            "../lib/x.so",
            "$XDG_RUNTIME_DIR/penfold",
            "a/b",
            "0-3,7",
            "pids.max",
            "-s",
            "/",
        ] {
            assert_eq!(of(other), [], "{other}");
        }
    }

    #[test]
    fn qualified_names_are_found_in_any_text() {
        let parts = |path: &str| PageClaim::Qualified(path.split("::").map(str::to_owned).collect());
        assert_eq!(of("Engine::write"), [parts("Engine::write")]);
        assert_eq!(of("Vec<Option<S::State>>"), [parts("S::State")]);
        assert_eq!(of("penfold_linux::trace::TraceHost"), [parts("penfold_linux::trace::TraceHost")]);
        assert_eq!(of("cargo test -p penfold-server simulated::"), [parts("simulated")]);
        assert_eq!(of("a(b::c, …::d)"), [parts("b::c")]);
    }

    #[test]
    fn symbols_are_names_that_look_like_rust() {
        for (text, name) in [
            ("Engine", "Engine"),
            ("Loaded<S>", "Loaded"),
            ("&mut Context", "Context"),
            ("Attach { task, whole }", "Attach"),
            ("on_stop", "on_stop"),
            ("poll()", "poll"),
            ("dispatch(report, &mut policy)", "dispatch"),
            ("export!", "export"),
            ("resume", "resume"),
        ] {
            assert_eq!(symbol_of(text).as_deref(), Some(name), "{text}");
        }
        for other in ["EAGAIN", "PTRACE_SEIZE", "_CLONE", "clone(2)", "pids.max", "-EAGAIN", "0x1", "Not so"]
        {
            assert_eq!(symbol_of(other), None, "{other}");
        }
    }

    #[test]
    fn commands_name_chores_verbs_and_options() {
        assert_eq!(of("cargo xtask ci"), [PageClaim::Chore("ci".into())]);
        assert_eq!(
            of("penfold module check --json"),
            [
                PageClaim::Verb("module".into()),
                PageClaim::Verb("check".into()),
                PageClaim::VerbOption("json".into())
            ]
        );
        assert_eq!(of("penfold run -s a=b -- make --quiet"), [PageClaim::Verb("run".into())]);
        assert_eq!(of("penfold VERB --help"), [PageClaim::VerbOption("help".into())]);
    }

    #[test]
    fn links_to_files_are_claims() {
        let of_link = |target: &str| {
            let span = PageSpan { line: 1, kind: SpanKind::Link, text: target.to_owned() };
            claims(&span, false, |_| false)
        };
        assert_eq!(of_link("../a.md#b"), [PageClaim::Link("../a.md".into())]);
        assert_eq!(of_link("#b"), []);
        assert_eq!(of_link("https://example.invalid/a"), []);
    }
}
