//! `penfold doctor`: what each host can do here.

use std::process::ExitCode;

use penfold_linux::doctor::{Capability, capabilities};
use serde::Serialize;

/// Tells what each host can do on this machine, and why not.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    host: &'a str,
    what: &'a str,
    given: bool,
    how: &'a str,
}

impl<'a> From<&'a Capability> for Row<'a> {
    fn from(one: &'a Capability) -> Row<'a> {
        Row { host: one.host, what: one.what, given: one.given, how: &one.how }
    }
}

pub(crate) fn doctor(arguments: &Arguments) -> ExitCode {
    let all = capabilities();
    if arguments.json {
        let rows: Vec<Row<'_>> = all.iter().map(Row::from).collect();
        match serde_json::to_string_pretty(&rows) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("penfold: {error}"),
        }
    } else {
        for one in &all {
            let mark = if one.given { "yes" } else { "no " };
            println!("{:<6} {mark} {:<20} {}", one.host, one.what, one.how);
        }
    }
    if all.iter().any(|one| one.given) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
