//! One run of one test program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::output::TestOutput;
use super::programs::TestProgram;

/// One run of a test program, and its result.
#[derive(Debug)]
pub(super) struct ProgramRun {
    pub(super) program: TestProgram,
    /// The reason why the run is no success.
    pub(super) failure: Option<String>,
    pub(super) output: TestOutput,
    /// The file with everything that the program printed.
    pub(super) file: PathBuf,
    pub(super) took: Duration,
}

impl ProgramRun {
    /// Runs a program with the arguments `rest`. Its output goes into a file in `place`.
    pub(super) fn of(program: TestProgram, place: &Path, rest: &[String]) -> ProgramRun {
        let file = place.join(program.name.replace('/', "-") + ".txt");
        let began = Instant::now();
        let ended = run(&program, &file, rest);
        let took = began.elapsed();
        let output = TestOutput::read(&String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()));
        let failure = match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        ProgramRun { program, failure, output, file, took }
    }

    /// The command that runs the failed tests again.
    pub(super) fn again(&self) -> String {
        let tests = match &self.output.failed[..] {
            [] => String::new(),
            failed => format!(" -- --exact {}", failed.join(" ")),
        };
        format!("cargo xtask test {}{tests}", self.program.name)
    }
}

fn run(program: &TestProgram, file: &Path, rest: &[String]) -> std::io::Result<ExitStatus> {
    let output = File::create(file)?;
    crate::with_default_signals(&program.path)
        // also for tests that passed: their output has the reasons for which they skipped something
        .arg("--show-output")
        .args(rest)
        .current_dir(&program.directory)
        .env("CARGO_MANIFEST_DIR", &program.directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
}
