//! `penfold doctor`: the capabilities of each host on this machine.

use std::fmt::Write as _;
use std::process::ExitCode;

use penfold_linux::doctor::{HostFeature, host_features};
use serde::Serialize;

use crate::failure::Outcome;
use crate::output;

/// Lists what each host can do on this machine, and why it can't do the rest.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CapabilityRow<'a> {
    host: &'a str,
    what: &'a str,
    given: bool,
    how: &'a str,
}

impl<'a> From<&'a HostFeature> for CapabilityRow<'a> {
    fn from(one: &'a HostFeature) -> CapabilityRow<'a> {
        CapabilityRow { host: one.host, what: one.what, given: one.given, how: &one.how }
    }
}

pub(crate) fn run(arguments: &DoctorArguments) -> Outcome {
    let all = host_features();
    if arguments.json {
        let rows: Vec<CapabilityRow<'_>> = all.iter().map(CapabilityRow::from).collect();
        output::json(&rows)?;
    } else {
        let mut text = String::new();
        for one in &all {
            let mark = if one.given { "yes" } else { "no " };
            let _ = writeln!(text, "{:<6} {mark} {:<20} {}", one.host, one.what, one.how);
        }
        output::write(text.as_bytes())?;
    }
    Ok(if all.iter().any(|one| one.given) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
