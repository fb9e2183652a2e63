//! One run of one target.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::log::FuzzLog;

/// The length of the longest input, in bytes.
const LONGEST: u32 = 4096;
/// An input that takes longer, in seconds, is a finding.
const PATIENCE: u32 = 20;

/// One run of a target, and its result.
pub(super) struct TargetRun {
    pub(super) target: String,
    /// The reason why the run is no success.
    pub(super) failure: Option<String>,
    log: FuzzLog,
    file: PathBuf,
    took: Duration,
}

/// Runs a target for a while, on the seeds and the corpus of earlier runs.
pub(super) fn run(
    directory: &Path,
    programs: &Path,
    target: &str,
    seconds: u32,
) -> Result<TargetRun, String> {
    let (corpus, artifacts) = (format!("corpus/{target}"), format!("artifacts/{target}"));
    for path in [&corpus, &artifacts] {
        writable_for_all(&directory.join(path)).map_err(|error| format!("fuzz: {path}: {error}"))?;
    }
    let file = directory.join(format!("artifacts/{target}.log"));
    let failed = |error| format!("fuzz: {target}: {error}");
    let output = File::create(&file).map_err(failed)?;
    let mut command = Command::new(programs.join(target));
    command
        .args([format!("-max_total_time={seconds}"), format!("-max_len={LONGEST}")])
        .args([format!("-timeout={PATIENCE}"), format!("-artifact_prefix={artifacts}/")])
        .args(["-print_final_stats=1", &corpus])
        // relative paths, because a target may give up the right to pass the directories above
        .current_dir(directory)
        .env("RUST_BACKTRACE", "1")
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(output);
    let seeds = format!("seeds/{target}");
    if directory.join(&seeds).is_dir() {
        command.arg(seeds);
    }
    let begin = Instant::now();
    let status = command.status().map_err(failed)?;
    let took = begin.elapsed();
    let text = fs::read(&file).map_err(failed)?;
    let log = FuzzLog::read(&String::from_utf8_lossy(&text));
    let failure = if !status.success() {
        Some(status.to_string())
    } else if log.executions.is_none() || log.coverage.is_none_or(|edges| edges == 0) {
        // without coverage nothing can be found, which would look like success
        Some("it ran without coverage".to_owned())
    } else {
        None
    };
    Ok(TargetRun { target: target.to_owned(), failure, log, file, took })
}

/// Makes a directory that everybody can write to. The target of the control socket runs as a user who owns nothing, and
/// has to write its finding.
fn writable_for_all(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    let mode = 0o1777;
    if fs::metadata(path)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Gives one input to a target.
pub(super) fn replay(programs: &Path, target: &str, input: &Path) -> Result<(), String> {
    // libFuzzer takes a directory for a corpus, and would search for more inputs
    if !input.is_file() {
        return Err(format!("fuzz: {}: is no file", input.display()));
    }
    let status = Command::new(programs.join(target)).arg(input).env("RUST_BACKTRACE", "1").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("fuzz: {target} with {}: {status}", input.display())),
        Err(error) => Err(format!("fuzz: {target}: {error}")),
    }
}

impl fmt::Display for TargetRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        writeln!(
            f,
            "xtask: fuzz {:15} {:>9} executions {:>6} edges {:>4} s  {}",
            self.target,
            number(self.log.executions),
            number(self.log.coverage),
            self.took.as_secs(),
            self.failure.as_ref().map_or("ok", |_| "FAILED"),
        )?;
        let Some(failure) = &self.failure else { return Ok(()) };
        writeln!(f, "  {failure}; all of its output: {}", self.file.display())?;
        for line in &self.log.report {
            writeln!(f, "  | {line}")?;
        }
        if let Some(input) = &self.log.input {
            writeln!(f, "  the input: fuzz/{input}")?;
            writeln!(f, "  play it again: cargo xtask fuzz {} --input fuzz/{input}", self.target)?;
            writeln!(f, "  once mended, keep it: cp fuzz/{input} fuzz/seeds/{}/", self.target)?;
        }
        Ok(())
    }
}
