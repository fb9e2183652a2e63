//! `penfold kill`.

use std::str::FromStr;

use nix::sys::signal::Signal;
use penfold_server::protocol::{KillCall, SignalCall};

use crate::address::CgroupAddress;
use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::progress;
use crate::verbs::EXIT_STATUS;

/// Kills every process of a cgroup and of those below it, also those that are born meanwhile, and returns when all are
/// dead. With --signal, sends a signal to every process.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold kill /build
  penfold kill --signal TERM -r /ci
  penfold kill -s 10 /server

{EXIT_STATUS}"))]
pub(crate) struct KillArguments {
    /// Sends this signal instead (a name, with or without SIG, or a number) to the processes of the cgroup alone.
    #[arg(short, long, value_parser = signal)]
    signal: Option<i32>,

    /// With --signal: to the processes of the cgroups below as well.
    #[arg(short, long, requires = "signal")]
    recursive: bool,

    /// Prints how many processes there were.
    #[arg(short, long)]
    verbose: bool,

    /// The cgroups: [HIERARCHY:]/path.
    #[arg(required = true, value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

fn signal(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse() {
        return Some(number).filter(|number| (0..=64).contains(number)).ok_or("0 to 64".to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    Signal::from_str(&name).map(|signal| signal as i32).map_err(|_| "no such signal".to_owned())
}

pub(crate) fn run(arguments: &KillArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    each(&arguments.cgroups, |cgroup| {
        let there = if let Some(signal) = arguments.signal {
            let recursive = arguments.recursive.then_some(true);
            let call = SignalCall { cgroup: cgroup.0.clone(), signal: signal.into(), recursive };
            remote.call(&call)?.processes
        } else {
            let call = KillCall { cgroup: cgroup.0.clone() };
            progress::during(&format!("penfold: killing {cgroup}"), || remote.call(&call))?.processes
        };
        if arguments.verbose {
            println!("{cgroup}: {there} {}", if there == 1 { "process" } else { "processes" });
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal("TERM"), Ok(15));
        assert_eq!(signal("sigusr1"), Ok(10));
        assert_eq!(signal("9"), Ok(9));
        assert!(signal("65").is_err() && signal("-1").is_err() && signal("NONE").is_err());
    }
}
