//! `cargo xtask words`: a check of how penfold's sources and pages say things.

mod comments;
mod repository;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use repository::Repository;

/// The command line of this program.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct StyleArguments {
    #[command(subcommand)]
    check: StyleCheck,
}

/// One check.
#[derive(Debug, Subcommand)]
enum StyleCheck {
    Words(words::WordsArguments),
}

fn main() -> ExitCode {
    let repository = Repository::of_this_program();
    let done = match StyleArguments::parse().check {
        StyleCheck::Words(arguments) => words::words(&repository, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("style: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        StyleArguments::command().debug_assert();
    }
}
