//! The report of a check, line by line.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::Failure;
use crate::output;

/// The number of the loader's messages about a fault of the module: a panic, or an answer that is none.
static FAULTS: AtomicUsize = AtomicUsize::new(0);

/// Prints the lines of the report, and counts the faults.
#[derive(Debug, Default)]
pub(super) struct CheckReport {
    wrong: usize,
    noted: usize,
    done: usize,
    faults: usize,
}

impl CheckReport {
    fn line(mark: &str, what: &str, how: &str) -> Result<(), Failure> {
        let mut lines = how.trim_end_matches('\n').lines();
        let mut text = format!("{mark:<5} {what:<28} {}\n", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "{:34} {line}", "");
        }
        output::write(text.as_bytes())
    }

    /// Reports something that is as it should be.
    pub(super) fn good(&mut self, what: &str, how: &str) -> Result<(), Failure> {
        self.done += 1;
        CheckReport::line("ok", what, how)?;
        self.look_for_faults()
    }

    /// Reports something that the author may or may not have intended.
    pub(super) fn note(&mut self, what: &str, how: &str) -> Result<(), Failure> {
        self.noted += 1;
        CheckReport::line("note", what, how)?;
        self.look_for_faults()
    }

    /// Reports something that breaks a rule.
    pub(super) fn wrong(&mut self, what: &str, how: &str) -> Result<(), Failure> {
        self.wrong += 1;
        CheckReport::line("WRONG", what, how)?;
        self.look_for_faults()
    }

    /// Reports a fault that the loader has logged: the callback may have no answer that could show the fault.
    fn look_for_faults(&mut self) -> Result<(), Failure> {
        let seen = FAULTS.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.faults, seen) < seen {
            self.wrong += 1;
            CheckReport::line("WRONG", "", "see above what the loader says")?;
        }
        Ok(())
    }

    /// Prints the last line. True if nothing is wrong.
    pub(super) fn end(&mut self) -> Result<bool, Failure> {
        self.look_for_faults()?;
        let CheckReport { wrong, noted, done, .. } = self;
        output::write(format!("{done} as they should be, {noted} to look at, {wrong} wrong\n").as_bytes())?;
        Ok(self.wrong == 0)
    }
}

/// Standard output for messages of the loader and the module, in between the lines that they belong to. Counts faults.
#[derive(Debug)]
pub(super) struct FaultCountingStdout;

impl FaultCountingStdout {
    pub(super) fn new() -> FaultCountingStdout {
        FaultCountingStdout
    }
}

impl Write for FaultCountingStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.trim_ascii_start().starts_with(b"ERROR") {
            FAULTS.fetch_add(1, Ordering::Relaxed);
        }
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
