//! Transcripts kept in the repository, for machines whose kernel cannot be asked.

use std::fmt;
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

/// Is this machine like the one the recordings were made on?
pub fn recorded_here() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    release.starts_with(&format!("{RECORDED_ON}.")) && cpus == RECORDED_CPUS
}

/// One line that two transcripts do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineDifference {
    /// Counted from 1.
    pub line: usize,
    /// What should be there; `(end)` behind the last line.
    pub expected: String,
    /// What is there.
    pub got: String,
}

impl fmt::Display for LineDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}:\n  expected {}\n  got      {}", self.line, self.expected, self.got)
    }
}

/// Where two transcripts differ; empty when they agree.
pub fn differing_lines(expected: &str, got: &str) -> Vec<LineDifference> {
    let (mut expected, mut got) = (expected.lines(), got.lines());
    let mut found = Vec::new();
    for line in 1.. {
        match (expected.next(), got.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                let shown = |line: Option<&str>| line.unwrap_or("(end)").to_owned();
                found.push(LineDifference { line, expected: shown(a), got: shown(b) });
            }
        }
    }
    found
}

/// The first twenty of them as text.
pub fn differences(expected: &str, got: &str) -> Vec<String> {
    differing_lines(expected, got).iter().take(20).map(ToString::to_string).collect()
}
