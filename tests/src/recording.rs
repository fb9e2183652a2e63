//! Transcripts in the repository, for machines whose kernel has no cgroup v1.

use std::fmt;
use std::fs;
use std::path::PathBuf;

/// The release of the kernel on which the recordings were made, as `major.minor`.
pub const RECORDED_ON: &str = "6.18";

/// The CPUs of the machine on which the recordings were made: all online, with one memory node.
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

/// Whether this machine is like that of the recordings.
pub fn recorded_here() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    release.starts_with(&format!("{RECORDED_ON}.")) && cpus == RECORDED_CPUS
}

/// One line in which two transcripts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineDifference {
    /// Counted from 1.
    pub line: usize,
    /// The right line; `(end)` behind the last one.
    pub expected: String,
    /// The line instead.
    pub got: String,
}

impl fmt::Display for LineDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}:\n  expected {}\n  got      {}", self.line, self.expected, self.got)
    }
}

/// The lines in which two transcripts differ; empty if they agree.
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

/// The first twenty differences as text.
pub fn differences(expected: &str, got: &str) -> Vec<String> {
    differing_lines(expected, got).iter().take(20).map(ToString::to_string).collect()
}
