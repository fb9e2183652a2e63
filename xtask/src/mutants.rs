//! `cargo xtask mutants`: changes core and the subsystems in one place at a time and runs their own tests on each
//! change.
//!
//! cargo-mutants makes the changes, the mutants. A mutant that survives shows a promise that no test holds. A mutant
//! that no test can tell from the original is in `.cargo/mutants.toml` with the reason.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Fewer sequences for the model test of core, always the same: enough to reach everything that it must, in two
/// seconds.
const MODEL: [(&str, &str); 2] = [("PROPTEST_CASES", "40"), ("PROPTEST_RNG_SEED", "1")];
/// Seconds for the tests of one mutant. All tests together take about 4 s.
const TIMEOUT: &str = "60";
const INSTALL: &str =
    "mutants: cargo-mutants is not installed; `cargo install cargo-mutants --locked` installs it";

/// The command line.
#[derive(Debug, PartialEq)]
struct MutantsArguments {
    /// `K/N`: every Nth mutant, from the Kth; `None` for all.
    shard: Option<String>,
    packages: Vec<&'static str>,
}

/// Runs the mutants of both packages, or only those of a shard or of a package.
///
/// # Errors
/// For a wrong option, without cargo-mutants, and for a mutant that survived.
pub(crate) fn mutants(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let wanted = parse(arguments)?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let installed = Command::new(&cargo).args(["mutants", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Err(INSTALL.to_owned());
    }
    let top = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let results = wanted.packages.iter().map(|package| {
        let output = top.join("mutants").join(package);
        std::fs::create_dir_all(&output)
            .map_err(|error| format!("mutants: {}: {error}", output.display()))?;
        let status = Command::new(&cargo)
            .args(command_line(package, wanted.shard.as_deref(), &output))
            .envs(MODEL)
            // each mutant is built and linked: without debug information that takes half as long
            .envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_PROFILE_TEST_DEBUG", "0")])
            // mutants are built in a copy of the tree, not in this target directory
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .map_err(|error| format!("mutants: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("mutants: {package}: {status}; see {}", output.join("mutants.out/missed.txt").display()))
    });
    // a failure in one package is no reason to leave the other out
    let failed: Vec<String> = results.filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn command_line(package: &str, shard: Option<&str>, output: &Path) -> Vec<String> {
    let output = output.display().to_string();
    let mut words = vec!["mutants", "--package", package, "--output", &output, "--timeout", TIMEOUT];
    // mutants that are close together are alike: a shard of every Nth says more about the whole
    words.extend(shard.iter().flat_map(|shard| ["--shard", shard, "--sharding", "round-robin"]));
    words.extend(["--", "--lib", "--tests"]);
    words.into_iter().map(str::to_owned).collect()
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<MutantsArguments, String> {
    let mut wanted = MutantsArguments { shard: None, packages: vec!["penfold-core", "penfold-subsystems"] };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--shard" => wanted.shard = Some(arguments.next().ok_or("mutants: --shard takes K/N")?),
            "--package" => {
                wanted.packages = match arguments.next().as_deref() {
                    Some("core") => vec!["penfold-core"],
                    Some("subsystems") => vec!["penfold-subsystems"],
                    _ => return Err("mutants: --package takes core or subsystems".to_owned()),
                }
            }
            other => {
                return Err(format!("mutants: {other}: takes --shard K/N and --package core|subsystems"));
            }
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> Result<MutantsArguments, String> {
        parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn both_packages_are_run_unless_one_is_named() {
        assert_eq!(wanted(&[]).unwrap().packages.len(), 2);
        let one = wanted(&["--shard", "3/10", "--package", "core"]).unwrap();
        assert_eq!(one, MutantsArguments { shard: Some("3/10".into()), packages: vec!["penfold-core"] });
        for wrong in [&["--shard"][..], &["--package", "linux"], &["core"]] {
            assert!(wanted(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn shard_is_a_sample_of_the_whole() {
        let words = command_line("penfold-core", Some("0/10"), Path::new("out")).join(" ");
        assert!(words.contains("--shard 0/10 --sharding round-robin"), "{words}");
        assert!(words.ends_with("-- --lib --tests"), "{words}");
        assert!(!command_line("penfold-core", None, Path::new("out")).join(" ").contains("shard"));
    }
}
