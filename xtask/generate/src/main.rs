//! Writes the files that are generated from penfold's sources, for `cargo xtask dist` and `cargo xtask header`.

mod dist;
mod header;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let done = match chore.to_str() {
        Some("dist") => {
            let directory = arguments.next().map_or_else(|| PathBuf::from("dist/share"), PathBuf::from);
            dist::dist(&directory).map_err(|error| format!("dist: {}: {error}", directory.display()))
        }
        Some("header") => header::header(arguments.next().is_some_and(|option| option == "--check")),
        _ => Err("takes dist [DIRECTORY] or header [--check]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("penfold-generate: {error}");
            ExitCode::FAILURE
        }
    }
}
