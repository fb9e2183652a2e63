//! `cargo xtask dist`: man pages and completions of shells for packages, generated from the program's arguments.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

/// Writes the man pages and the completions of shells into a directory.
pub(crate) fn dist(directory: &Path) -> io::Result<()> {
    let manual = directory.join("man/man1");
    fs::create_dir_all(&manual)?;
    for (name, page) in pages()? {
        fs::write(manual.join(name), page)?;
    }
    for (shell, place) in [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Zsh, "zsh/site-functions"),
        (Shell::Fish, "fish/vendor_completions.d"),
    ] {
        let place = directory.join(place);
        fs::create_dir_all(&place)?;
        generate_to(shell, &mut penfold::command(), "penfold", place)?;
    }
    Ok(())
}

/// The pages and the names of their files: a page for the program and for every verb, verbs of verbs included.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut whole = penfold::command().disable_help_subcommand(true);
    whole.build();
    let mut pages = Vec::new();
    add(whole, "penfold".to_owned(), &mut pages)?;
    Ok(pages)
}

fn add(command: Command, name: String, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    // clap adds the verb help to every verb that has others
    let below = command.get_subcommands().filter(|verb| verb.get_name() != "help").cloned();
    let below: Vec<Command> = below.collect();
    // clap keeps names as long as a command; a page's command lives as long as this program
    let own = command.name(&*name.clone().leak()).hide(false);
    pages.push((format!("{name}.1"), page(own)?));
    below.into_iter().try_for_each(|verb| {
        let name = format!("{name}-{}", verb.get_name());
        add(verb, name, pages)
    })
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text under a heading of a page.
    fn section<'a>(page: &'a str, name: &str) -> &'a str {
        let (_, rest) =
            page.split_once(&format!("\n.SH {name}\n")).unwrap_or_else(|| panic!("no {name}: {page}"));
        rest.split("\n.SH ").next().unwrap_or_default().trim()
    }

    #[test]
    fn every_verb_has_a_page_with_its_exit_status() {
        let pages = pages().unwrap();
        let count = |command: &Command| command.get_subcommands().count();
        let verbs = penfold::command();
        assert_eq!(pages.len(), 1 + count(&verbs) + verbs.get_subcommands().map(count).sum::<usize>());
        for (name, page) in pages {
            let page = String::from_utf8(page).unwrap();
            assert!(section(&page, "DESCRIPTION").len() > 20, "{name}: {page}");
            assert!(section(&page, "SYNOPSIS").contains("penfold"), "{name}");
            let asks = !["penfold.1", "penfold-completions.1", "penfold-doctor.1"].contains(&name.as_str());
            if asks && !name.contains("serve") && !name.contains("mount") && !name.contains("install") {
                assert!(
                    page.to_lowercase().contains("exit status"),
                    "{name} does not say its exit status: {page}"
                );
            }
            for argument in ["socket", "help"] {
                assert!(page.contains(argument), "{name}: --{argument}");
            }
        }
    }

    #[test]
    fn everything_that_is_installed_is_written() {
        let directory = penfold_testkit::TempDir::new();
        dist(directory.path()).unwrap();
        for file in [
            "man/man1/penfold.1",
            "man/man1/penfold-run.1",
            "man/man1/penfold-cgcreate.1",
            "man/man1/penfold-module.1",
            "man/man1/penfold-module-load.1",
            "bash-completion/completions/penfold.bash",
            "zsh/site-functions/_penfold",
            "fish/vendor_completions.d/penfold.fish",
        ] {
            let length =
                fs::metadata(directory.join(file)).unwrap_or_else(|error| panic!("{file}: {error}")).len();
            assert!(length > 500, "{file} has {length} bytes");
        }
    }
}
