//! The chores of penfold: `cargo xtask test`, `cargo xtask ci`, `cargo xtask bench`, `cargo xtask dist`,
//! `cargo xtask fuzz`, `cargo xtask header`, `cargo xtask protocol`, `cargo xtask arrows`, `cargo xtask mutants`,
//! `cargo xtask api`, `cargo xtask names`, `cargo xtask pages`, `cargo xtask sample`, `cargo xtask words`.

mod ci;
mod fuzz;
mod mutants;
mod test;

use std::env;
use std::ffi::OsStr;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask CHORE
  test    [--jobs N] [PROGRAM...] [-- ARGUMENT...]: builds everything and runs all tests, or those of the programs
          whose name contains one of the words; what stands after -- is for the programs, such as a test's name
  ci      test, with format, lints and documentation before it and fuzz, for 20 s each, after it
  arrows  [--revision REV] [--layers FILE] [--list] [--json] [--check] [FOLDER...]: a table of files that use each
          other, of those that point upward and of circles
  bench   runs the benches (see benches/README.md)
  dist    writes man pages and completions of shells into a directory, dist/share unless another is named
  fuzz    [--seconds N] [TARGET...]: builds the fuzz targets and runs each, for 60 s without --seconds
          --input FILE TARGET: plays one input, such as that of a finding
  header  [--check]: writes the C header of modules, crates/module/include/penfold.h; or says if it is out of date
  mutants [--shard K/N] [--package core|subsystems]: changes these crates place by place and runs their tests each time;
          needs cargo-mutants
  protocol [--check]: writes the messages of the control socket in Rust, crates/server/src/protocol, from their interface
          org.penfold.Control.varlink; or says if they are out of date
  api     [--crate CRATE] [--revision REV] [--list]: the size of a crate's public interface, now and at a commit
  names   [--check] [--public]: types by their names; with --check only names with more than one meaning
  pages   [--check]: paths, symbols and commands that a page names and that do not exist
  sample  [--seed N] [--count N]: documentation of public items taken at random
  words   [--check] [--summary] [--rule RULE] [PATH...]: sentences, words and names of tests against the style";

/// The workspace of the controllers outside the tree.
const MODULES: &str = "modules/Cargo.toml";

fn main() -> ExitCode {
    let chore = env::args().nth(1);
    let done = match chore.as_deref() {
        Some("test") => test::test(env::args().skip(2)),
        Some("ci") => ci::ci(),
        Some("bench") => bench(),
        Some("fuzz") => fuzz::fuzz(env::args().skip(2)),
        Some("dist") => run_package("penfold-generate", &["dist"]),
        Some(made @ ("header" | "protocol")) => generate_without_penfold(made),
        Some("arrows") => run_package("penfold-arrows", &[]),
        Some(check @ ("api" | "names" | "pages" | "sample" | "words")) => {
            run_package("penfold-style", &[check])
        }
        Some("mutants") => mutants::mutants(env::args().skip(2)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(step) => {
            eprintln!("xtask: failed: {step}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one step: a cargo command line with environment variables.
fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let step = format!("cargo {}", arguments.join(" "));
    eprintln!("xtask: {step}");
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = with_default_signals(program).args(arguments).envs(environment.iter().copied()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{step}: {status}")),
        Err(error) => Err(format!("{step}: {error}")),
    }
}

/// A command whose program has the default action for HUP, INT and QUIT.
///
/// Under nohup, and in a script after `&`, these signals are ignored. Children inherit that, but tested programs have
/// to die of the signals.
fn with_default_signals(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT,QUIT").arg(program);
    command
}

/// Runs a package with `first` and the arguments after the chore. Chores that take long to build are packages of their
/// own.
fn run_package(package: &str, first: &[&str]) -> Result<(), String> {
    let rest: Vec<String> = env::args().skip(2).collect();
    let words = ["run", "--quiet", "--package", package, "--"].into_iter().chain(first.iter().copied());
    cargo(&words.chain(rest.iter().map(String::as_str)).collect::<Vec<_>>(), &[])
}

/// Writes a file of the sources without building penfold itself, which may not build until the file is written.
fn generate_without_penfold(made: &str) -> Result<(), String> {
    let rest: Vec<String> = env::args().skip(2).collect();
    let words = ["run", "--quiet", "--package", "penfold-generate", "--no-default-features", "--", made];
    cargo(&words.into_iter().chain(rest.iter().map(String::as_str)).collect::<Vec<_>>(), &[])
}

fn bench() -> Result<(), String> {
    cargo(&["build", "--release", "--package", "penfold"], &[])?;
    cargo(&["bench", "--package", "penfold-benches"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "memory"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "modules"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "run_overhead"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "against_kernel"], &[])
}
