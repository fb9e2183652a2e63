//! Builds the targets with the coverage that libFuzzer needs.
//!
//! cargo-fuzz passes flags of the unstable compiler. The flags here are stable. So only a C++ compiler has to be
//! installed, with which libfuzzer-sys builds libFuzzer.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The flags that cargo-fuzz sets with `--sanitizer none`, but for one codegen unit, which this linker does not need.
/// Warnings are errors, because this is the only build of the server without its default features.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Dwarnings",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Checks that there is a C++ compiler for libFuzzer itself.
///
/// # Errors
/// Says how to get a compiler.
pub(crate) fn compiler() -> Result<(), String> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if Command::new(&compiler).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(format!(
        "fuzz: no C++ compiler ({}), which libFuzzer is built with; install g++ or set CXX",
        compiler.display()
    ))
}

/// Builds the targets, and returns the directory of the programs.
pub(super) fn build(directory: &Path, targets: &[String]) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = host()?;
    // with a target directory elsewhere: beside the other builds there, because the flags differ
    let place = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| directory.join("target"), |elsewhere| Path::new(&elsewhere).join("fuzz"));
    let place = std::path::absolute(&place).map_err(|error| format!("fuzz: {}: {error}", place.display()))?;
    eprintln!("xtask: fuzz: building {}", targets.join(", "));
    let status = Command::new(cargo)
        // with --target, cargo builds build scripts and macros without the instrumentation
        .args(["build", "--release", "--locked", "--target", &host])
        .args(targets.iter().flat_map(|target| ["--bin", target]))
        .current_dir(directory)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        .env("CARGO_TARGET_DIR", &place)
        .status()
        .map_err(|error| format!("fuzz: cargo: {error}"))?;
    if !status.success() {
        return Err(
            "fuzz: the targets do not build (if the lock file is old: `cargo update --workspace` in fuzz/)"
                .to_owned(),
        );
    }
    Ok(place.join(host).join("release"))
}

fn host() -> Result<String, String> {
    let output =
        Command::new("rustc").arg("-vV").output().map_err(|error| format!("fuzz: rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "fuzz: rustc does not tell its host".to_owned())
}
