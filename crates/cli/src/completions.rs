//! `penfold completions`: a script with which a shell completes penfold's arguments.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::failure::Outcome;
use crate::output;

/// Writes the completions of a shell to standard output.
///
/// For bash: `source <(penfold completions bash)`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command(), "penfold", &mut text);
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}
