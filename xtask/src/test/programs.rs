//! The test programs that cargo builds, and the order in which they run.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Programs that use the kernel's own hierarchies. They run one after the other: each would find the others' cgroups
/// where it needs to be alone. The longest of all programs are among them, so they begin first.
const ON_THE_KERNEL: [&str; 4] = [
    "tests/tests/differential.rs",
    "tests/tests/same_as_kernel.rs",
    "tests/tests/kernel.rs",
    "tests/tests/differential_harness.rs",
];

/// Programs that run longer than most. They begin before the others, so that none runs alone at the end.
const LONG: [&str; 3] =
    ["tests/tests/module_rounds.rs", "crates/cli/tests/shells.rs", "crates/cli/tests/accounting.rs"];

/// One test program.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TestProgram {
    /// The path of its source file, relative to the top of the repository.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The directory of its package, in which cargo runs it.
    pub(super) directory: PathBuf,
}

impl TestProgram {
    #[cfg(test)]
    pub(super) fn named(name: &str) -> TestProgram {
        TestProgram { name: name.to_owned(), path: PathBuf::new(), directory: PathBuf::new() }
    }
}

/// Builds the tests of a workspace. `selection` is arguments for cargo.
///
/// # Errors
/// Says that cargo can't run, or that the tests do not build.
pub(super) fn build(selection: &[&str]) -> Result<Vec<TestProgram>, String> {
    let words = ["test", "--no-run", "--message-format=json-render-diagnostics"];
    eprintln!("xtask: cargo test --no-run {}", selection.join(" "));
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(words)
        .args(selection)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("test: cargo: {error}"))?;
    if !output.status.success() {
        return Err("test: the tests do not build".to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect())
}

/// The test program in a message of cargo's; `None` if the message is about something else.
fn program(message: &str) -> Option<TestProgram> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let source = Path::new(message["target"]["src_path"].as_str()?);
    let name = source.strip_prefix(super::top()).unwrap_or(source).display().to_string();
    let directory = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    Some(TestProgram { name, path: message["executable"].as_str()?.into(), directory })
}

/// The programs in the order in which they begin. The programs of one chain run one after the other.
pub(super) fn chains(programs: Vec<TestProgram>) -> VecDeque<Vec<TestProgram>> {
    let place = |list: &[&str], program: &TestProgram| list.iter().position(|name| *name == program.name);
    let (mut kernel, mut others): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|program| ON_THE_KERNEL.contains(&program.name.as_str()));
    kernel.sort_by_key(|program| place(&ON_THE_KERNEL, program));
    others.sort_by_key(|program| (place(&LONG, program).unwrap_or(LONG.len()), program.name.clone()));
    let first = Some(kernel).filter(|kernel| !kernel.is_empty());
    first.into_iter().chain(others.into_iter().map(|program| vec![program])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_found_in_messages_of_cargo() {
        let top = super::super::top().display().to_string();
        let test = r#"{"reason":"compiler-artifact","manifest_path":"TOP/crates/cli/Cargo.toml","target":
            {"src_path":"TOP/crates/cli/tests/top.rs"},"profile":{"test":true},"executable":"/t/top-1"}"#;
        let told = program(&test.replace("TOP", &top)).unwrap();
        assert_eq!((told.name.as_str(), told.path), ("crates/cli/tests/top.rs", "/t/top-1".into()));
        assert_eq!(told.directory, Path::new(&top).join("crates/cli"));
        for other in [test.replace("true", "false"), test.replace("\"/t/top-1\"", "null"), "noise".into()] {
            assert_eq!(program(&other), None, "{other}");
        }
    }

    #[test]
    fn programs_on_the_kernel_are_one_chain() {
        let names = ["z.rs", "tests/tests/kernel.rs", "a.rs", "tests/tests/differential.rs"];
        let chains = chains(names.map(TestProgram::named).to_vec());
        let chains: Vec<Vec<&str>> =
            chains.iter().map(|chain| chain.iter().map(|program| program.name.as_str()).collect()).collect();
        assert_eq!(chains[0], ["tests/tests/differential.rs", "tests/tests/kernel.rs"]);
        assert_eq!(chains[1..], [["a.rs"], ["z.rs"]]);
    }

    #[test]
    fn every_program_with_a_place_of_its_own_exists() {
        for name in ON_THE_KERNEL.iter().chain(&LONG) {
            assert!(super::super::top().join(name).exists(), "{name}");
        }
    }
}
