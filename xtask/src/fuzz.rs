//! `cargo xtask fuzz`: builds the targets of `fuzz/` with coverage and runs each for a while.
//!
//! cargo-fuzz passes flags of the unstable compiler. The coverage that libFuzzer needs can be had with stable ones, so
//! nothing is to be installed but a C++ compiler, which libfuzzer-sys builds with.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds for each target unless told otherwise.
const SECONDS: u32 = 60;
/// The longest input, in bytes.
const LONGEST: u32 = 4096;

/// What cargo-fuzz sets with `--sanitizer none`.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Runs the targets that are named, or all, each for `--seconds N`.
///
/// # Errors
/// What went wrong, in words.
pub(crate) fn fuzz(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let (seconds, chosen) = parse(arguments)?;
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if !Command::new(&compiler).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err(format!(
            "fuzz: no C++ compiler ({}), which libFuzzer is built with; install g++ or set CXX",
            compiler.display()
        ));
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let programs = build(&directory)?;
    let mut targets = all_targets(&directory)?;
    targets.retain(|target| chosen.is_empty() || chosen.contains(target));
    if targets.is_empty() {
        return Err(format!("fuzz: no target is called {}", chosen.join(" or ")));
    }
    let mut failed = Vec::new();
    for target in targets {
        eprintln!("xtask: fuzz {target} for {seconds} s");
        if !run(&directory, &programs, &target, seconds)? {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("fuzz: findings in {}, see fuzz/artifacts", failed.join(", ")))
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(u32, Vec<String>), String> {
    let (mut seconds, mut chosen) = (SECONDS, Vec::new());
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            seconds = number.ok_or("fuzz: --seconds takes a number")?;
        } else if argument.starts_with('-') {
            return Err(format!("fuzz: {argument}: takes --seconds N and names of targets"));
        } else {
            chosen.push(argument);
        }
    }
    Ok((seconds, chosen))
}

fn all_targets(directory: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(directory.join("fuzz_targets")).map_err(|error| format!("fuzz: {error}"))?;
    let names = entries.flatten().map(|entry| entry.path());
    let mut targets: Vec<String> =
        names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    targets.sort();
    Ok(targets)
}

/// Returns where the programs are.
fn build(directory: &Path) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = host()?;
    // a target of its own keeps build scripts and macros free of the instrumentation
    let status = Command::new(cargo)
        .args(["build", "--release", "--bins", "--target", &target])
        .current_dir(directory)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .status()
        .map_err(|error| format!("fuzz: cargo: {error}"))?;
    if !status.success() {
        return Err("fuzz: the targets do not build".to_owned());
    }
    Ok(directory.join("target").join(target).join("release"))
}

fn host() -> Result<String, String> {
    let output =
        Command::new("rustc").arg("-vV").output().map_err(|error| format!("fuzz: rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "fuzz: rustc does not tell its host".to_owned())
}

/// True if nothing was found.
fn run(directory: &Path, programs: &Path, target: &str, seconds: u32) -> Result<bool, String> {
    let (corpus, artifacts) =
        (directory.join("corpus").join(target), directory.join("artifacts").join(target));
    for path in [&corpus, &artifacts] {
        fs::create_dir_all(path).map_err(|error| format!("fuzz: {}: {error}", path.display()))?;
    }
    let mut command = Command::new(programs.join(target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg("-timeout=20")
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&corpus);
    let seeds = directory.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let status = command.status().map_err(|error| format!("fuzz: {target}: {error}"))?;
    Ok(status.success())
}
