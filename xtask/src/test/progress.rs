//! Shows the progress of the tests.

use std::fmt::Write as _;
use std::io::{Write as _, stderr};
use std::time::{Duration, Instant};

use super::programs::TestProgram;
use super::run::ProgramRun;

/// The progress so far.
#[derive(Debug)]
pub(super) struct TestProgress {
    began: Instant,
    /// The number of programs.
    all: usize,
    running: Vec<(String, Instant)>,
    ended: usize,
    passed: usize,
    skipped: usize,
    failed: Vec<ProgramRun>,
    /// True for a terminal, whose last line is written anew all the time.
    terminal: bool,
    last: Instant,
}

impl TestProgress {
    pub(super) fn new(all: usize, terminal: bool) -> TestProgress {
        eprintln!("xtask: {all} test programs");
        let now = Instant::now();
        let (running, failed) = (Vec::new(), Vec::new());
        TestProgress {
            began: now,
            all,
            running,
            ended: 0,
            passed: 0,
            skipped: 0,
            failed,
            terminal,
            last: now,
        }
    }

    pub(super) fn begin(&mut self, program: &TestProgram) {
        self.running.push((program.name.clone(), Instant::now()));
    }

    /// Prints a line for a program that has ended, and the report of its failure.
    pub(super) fn end(&mut self, outcome: ProgramRun) {
        self.running.retain(|(name, _)| *name != outcome.program.name);
        self.ended += 1;
        self.passed += outcome.output.passed;
        self.skipped += outcome.output.skipped.len();
        self.last = Instant::now();
        let verdict = outcome.failure.as_ref().map_or("ok", |_| "FAILED");
        let seconds = outcome.took.as_secs_f64();
        let (ended, all, name) = (self.ended, self.all, &outcome.program.name);
        let tests = outcome.output.passed + outcome.output.failed.len();
        let mut text = format!("[{ended:>3}/{all}] {seconds:>6.1} s  {verdict:6}  {name}  ({tests} tests)\n");
        for reason in &outcome.output.skipped {
            let _ = writeln!(text, "                    skipped: {reason}");
        }
        if let Some(failure) = &outcome.failure {
            let _ = writeln!(text, "  {failure}; all of its output: {}", outcome.file.display());
            for line in &outcome.output.report {
                let _ = writeln!(text, "  | {line}");
            }
            let _ = writeln!(text, "  again: {}", outcome.again());
        }
        self.clear();
        eprint!("{text}");
        if outcome.failure.is_some() {
            self.failed.push(outcome);
        }
    }

    /// Shows the running programs: always on a terminal, elsewhere when no program has ended for `patience`.
    pub(super) fn tick(&mut self, patience: Duration) {
        if self.running.is_empty() || !self.terminal && self.last.elapsed() < patience {
            return;
        }
        self.last = Instant::now();
        let running = |(name, since): &(String, Instant)| format!("{name} {} s", since.elapsed().as_secs());
        let running: Vec<String> = self.running.iter().map(running).collect();
        let failed =
            if self.failed.is_empty() { String::new() } else { format!("{} failed, ", self.failed.len()) };
        let line = format!("[{:>3}/{}] {failed}running: {}", self.ended, self.all, running.join(", "));
        self.clear();
        if self.terminal {
            // a text longer than a line could not be erased
            let short: String = line.chars().take(100).collect();
            eprint!("{short}");
            let _ = stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }

    /// Prints the failures, with the commands that run them again.
    ///
    /// # Errors
    /// Says how many programs failed, if any did.
    pub(super) fn summary(self) -> Result<(), String> {
        self.clear();
        let seconds = self.began.elapsed().as_secs();
        let (all, passed, skipped) = (self.all, self.passed, self.skipped);
        eprintln!(
            "xtask: {all} test programs in {seconds} s: {passed} tests passed, {skipped} reasons to skip something"
        );
        if self.failed.is_empty() {
            return Ok(());
        }
        for outcome in &self.failed {
            eprintln!("  FAILED  {}: {}", outcome.program.name, outcome.output.failed.join(", "));
            eprintln!("          again: {}", outcome.again());
        }
        Err(format!("test: {} of {all} test programs", self.failed.len()))
    }
}
