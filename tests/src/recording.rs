//! Transcripts kept in the repository, for machines whose kernel cannot be asked.

use std::fs;
use std::path::PathBuf;

/// The kernel the recordings were made on: `major.minor` of its release, and its shape.
pub const RECORDED_ON: &str = "6.18";

/// CPUs of the machine the recordings were made on; all of them online, one memory node.
pub const RECORDED_CPUS: usize = 2;

fn path(scenario: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recorded").join(format!("{scenario}.txt"))
}

/// The recorded transcript of a scenario.
pub fn load(scenario: &str) -> Option<String> {
    fs::read_to_string(path(scenario)).ok()
}

/// Replaces the recorded transcript of a scenario.
pub fn store(scenario: &str, transcript: &str) -> std::io::Result<()> {
    fs::write(path(scenario), transcript)
}

/// Where two transcripts differ: `line N: EXPECTED | GOT`, at most twenty; empty when they agree.
pub fn differences(expected: &str, got: &str) -> Vec<String> {
    let (mut expected, mut got) = (expected.lines(), got.lines());
    let mut found = Vec::new();
    for number in 1.. {
        match (expected.next(), got.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => found.push(format!(
                "line {number}:\n  expected {}\n  got      {}",
                a.unwrap_or("(end)"),
                b.unwrap_or("(end)")
            )),
        }
        if found.len() == 20 {
            break;
        }
    }
    found
}
