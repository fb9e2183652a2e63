//! Checks of penfold's names and prose.

mod api;
mod comments;
mod conditions;
mod definitions;
mod lines;
mod names;
mod pages;
mod repository;
mod sample;
mod words;
mod workspace;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use repository::Repository;

/// The command line of this program.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct StyleArguments {
    #[command(subcommand)]
    check: StyleCheck,
}

/// One check.
#[derive(Debug, Subcommand)]
enum StyleCheck {
    Api(api::ApiArguments),
    Names(names::NamesArguments),
    Pages(pages::PagesArguments),
    Sample(sample::SampleArguments),
    Words(words::WordsArguments),
}

/// The answer of a check.
#[derive(Debug, Default)]
struct StyleReport {
    text: String,
    /// There are findings, and `--check` asks for none.
    fails: bool,
}

fn main() -> ExitCode {
    let repository = Repository::of_this_program();
    let done = match StyleArguments::parse().check {
        StyleCheck::Api(arguments) => api::api(&repository, &arguments),
        StyleCheck::Names(arguments) => names::names(&repository, &arguments),
        StyleCheck::Pages(arguments) => pages::pages(&repository, &arguments),
        StyleCheck::Sample(arguments) => sample::sample(&repository, &arguments),
        StyleCheck::Words(arguments) => words::words(&repository, &arguments),
    };
    match done {
        Ok(report) => {
            // a reader such as `head` may have seen enough
            let _ = std::io::stdout().write_all(report.text.as_bytes());
            if report.fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
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
