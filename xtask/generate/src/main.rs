//! Writes files that are made from penfold's sources, for `cargo xtask dist`, `cargo xtask header` and
//! `cargo xtask protocol`.

#[cfg(feature = "dist")]
mod dist;
mod header;
mod protocol;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let done = match chore.to_str() {
        #[cfg(feature = "dist")]
        Some("dist") => {
            let directory = arguments.next().unwrap_or_else(|| "dist/share".into());
            let directory = std::path::PathBuf::from(directory);
            dist::dist(&directory).map_err(|error| format!("dist: {}: {error}", directory.display()))
        }
        Some("header") => header::header(arguments.next().is_some_and(|option| option == "--check")),
        Some("protocol") => protocol::protocol(arguments.next().is_some_and(|option| option == "--check")),
        _ => Err("takes dist [DIRECTORY], header [--check] or protocol [--check]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("penfold-generate: {error}");
            ExitCode::FAILURE
        }
    }
}
