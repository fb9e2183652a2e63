//! The chores of penfold: `cargo xtask test`, `cargo xtask ci`, `cargo xtask arrows`, `cargo xtask bench`,
//! `cargo xtask dist`, `cargo xtask fuzz`, `cargo xtask header`, `cargo xtask loom`,
//! `cargo xtask mutants`.

mod arrows;
mod dist;
mod fuzz;
mod header;
mod mutants;

use std::env;
use std::iter;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask CHORE
  test    builds everything and runs all tests
  ci      test, with format, lints and documentation and loom before it and fuzz after it
  arrows  [--revision REV] [--layers FILE] [--list] [--json] [--check] [FOLDER...]: a table of files that use each
          other, of those that point upward and of circles
  bench   runs the benches (see benches/README.md)
  dist    writes man pages and completions of shells into a directory, dist/share unless another is named
  fuzz    [--seconds N] [TARGET...]: builds the fuzz targets and runs each, for 60 s unless told otherwise
          --input FILE TARGET: plays one input, such as that of a finding
  header  [--check]: writes the C header of modules, crates/module/include/penfold.h; or says if it is out of date
  loom    tries all interleavings of the two threads that load, call and unload a module, in a model
  mutants [--shard K/N] [--package core|subsystems]: changes these crates place by place and runs their tests each time;
          needs cargo-mutants";

/// The controllers outside the tree: a workspace of its own.
const MODULES: &str = "modules/Cargo.toml";

fn main() -> ExitCode {
    let chore = env::args().nth(1);
    let done = match chore.as_deref() {
        Some("test") => test(),
        Some("ci") => ci(),
        Some("arrows") => arrows::arrows(env::args().skip(2)),
        Some("bench") => bench(),
        Some("fuzz") => fuzz::fuzz(env::args().skip(2)),
        Some("header") => header::header(env::args().nth(2).as_deref() == Some("--check")),
        Some("loom") => loom(),
        Some("mutants") => mutants::mutants(env::args().skip(2)),
        Some("dist") => {
            let directory = env::args_os().nth(2).map_or_else(|| PathBuf::from("dist/share"), PathBuf::from);
            dist::dist(&directory).map_err(|error| format!("dist: {}: {error}", directory.display()))
        }
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

/// One step: a cargo command line, and the warnings it is to deny.
fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let step = format!("cargo {}", arguments.join(" "));
    eprintln!("xtask: {step}");
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // What is ignored here stays ignored there, and what is tested has to die of these: under nohup, and in a script
    // behind `&`, they are.
    let status = Command::new("env")
        .arg("--default-signal=HUP,INT,QUIT")
        .arg(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{step}: {status}")),
        Err(error) => Err(format!("{step}: {error}")),
    }
}

fn test() -> Result<(), String> {
    // The tests run programs of the workspace, which must be built before any of them starts.
    cargo(&["build", "--workspace", "--lib", "--bins", "--examples"], &[])?;
    // controllers outside the tree: tests load what is built here
    cargo(&["build", "--locked", "--manifest-path", MODULES, "--workspace"], &[])?;
    cargo(&["test", "--workspace"], &[])?;
    cargo(&["test", "--locked", "--manifest-path", MODULES, "--workspace"], &[])
}

fn ci() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    header::header(true)?;
    // workspaces of their own
    for manifest in ["fuzz/Cargo.toml", MODULES] {
        cargo(&["fmt", "--all", "--manifest-path", manifest, "--check"], &[])?;
    }
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    let modules = ["clippy", "--locked", "--manifest-path", MODULES, "--workspace", "--all-targets"];
    cargo(&[&modules[..], &["--", "-D", "warnings"]].concat(), &[])?;
    cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    loom()?;
    test()?;
    match fuzz::compiler() {
        Err(reason) if env::var_os("CI").is_none_or(|ci| ci != "true") => {
            eprintln!("xtask: skipped: {reason}");
            Ok(())
        }
        _ => fuzz::fuzz(iter::empty()),
    }
}

/// `LOOM_MAX_PREEMPTIONS` sets how many switches that nothing asked for are tried.
fn loom() -> Result<(), String> {
    let top = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    // a directory of its own: the flag would have everything else built anew, here and the next time without it
    let directory = top.join("loom").display().to_string();
    let flags = env::var("RUSTFLAGS").unwrap_or_default() + " --cfg loom";
    cargo(
        &["test", "--release", "--package", "penfold-module", "--test", "rendezvous_model"],
        &[("RUSTFLAGS", &flags), ("CARGO_TARGET_DIR", &directory)],
    )
}

fn bench() -> Result<(), String> {
    cargo(&["build", "--release", "--package", "penfold"], &[])?;
    cargo(&["bench", "--package", "penfold-benches"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "memory"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "modules"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "run_overhead"], &[])?;
    cargo(&["run", "--release", "--package", "penfold-benches", "--bin", "against_kernel"], &[])
}
