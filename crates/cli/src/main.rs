//! `penfold`: groups Linux processes into control groups in user space, with or without root.

mod containment;
mod doctor;
mod report;
mod run;
mod settings;
mod shim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Groups Linux processes into containers (control groups) in user space, on a stock kernel, with or without root.
#[derive(Debug, Parser)]
#[command(name = "penfold", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs a command in a cgroup of its own: cap, count, pin and cleanly kill the whole process tree.
    Run(run::Arguments),
    /// Tells what each host can do on this machine, and why not.
    Doctor(doctor::Arguments),
    /// Runs a command that takes penfold's mounts for cgroup mounts of the kernel's.
    Shim(shim::Arguments),
}

fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(Arguments { verb: Verb::Run(arguments) }) => run::run(&arguments),
        Ok(Arguments { verb: Verb::Doctor(arguments) }) => doctor::doctor(&arguments),
        Ok(Arguments { verb: Verb::Shim(arguments) }) => shim::shim(&arguments),
        Err(error) => {
            let _ = error.print();
            // As env(1), nohup(1) and timeout(1) do: what is wrong with our own arguments is 125.
            if error.use_stderr() { ExitCode::from(run::OWN_FAILURE) } else { ExitCode::SUCCESS }
        }
    }
}
