//! Parses the output of a test program.

/// The most lines of a failure that are shown; the rest is in the file.
const LONGEST: usize = 200;

/// The results in a program's output.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TestOutput {
    /// The number of tests that passed.
    pub(super) passed: usize,
    /// The names of the tests that failed.
    pub(super) failed: Vec<String>,
    /// The reasons for which tests did not run, or not completely.
    pub(super) skipped: Vec<String>,
    /// The lines that are shown of a failure.
    pub(super) report: Vec<String>,
}

impl TestOutput {
    pub(super) fn read(text: &str) -> TestOutput {
        let mut output = TestOutput::default();
        for line in text.lines() {
            if let Some((name, verdict)) =
                line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
            {
                match verdict {
                    "ok" => output.passed += 1,
                    "FAILED" => output.failed.push(name.trim_end_matches(" - should panic").to_owned()),
                    _ => {}
                }
            }
            // the output of another thread may come before it on the line
            if let Some((_, reason)) = line.split_once("skipped: ")
                && !output.skipped.iter().any(|known| known == reason)
            {
                output.skipped.push(reason.to_owned());
            }
        }
        let lines: Vec<&str> = text.lines().collect();
        // of a program that was killed there are only the last lines
        let from = lines.iter().position(|&line| line == "failures:");
        let from = from.unwrap_or_else(|| lines.len().saturating_sub(60));
        output.report = lines[from..].iter().take(LONGEST).map(|&line| line.to_owned()).collect();
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILING: &str = "
running 3 tests
test limits::a ... ok
test b ... FAILED
test c - should panic ... FAILED
test d ... ignored

successes:

---- a stdout ----
skipped: there is no gdb
skipped: there is no gdb

failures:

---- b stdout ----
thread 'b' panicked at tests/x.rs:3:5:

test result: FAILED. 1 passed; 2 failed; 1 ignored
";

    #[test]
    fn output_has_failures_and_skips() {
        let output = TestOutput::read(FAILING);
        assert_eq!((output.passed, output.failed.join(" ")), (1, "b c".into()));
        assert_eq!(output.skipped, ["there is no gdb"]);
        assert_eq!(output.report[0], "failures:");
        assert!(output.report.last().unwrap().starts_with("test result: FAILED"), "{:?}", output.report);
    }

    #[test]
    fn output_without_a_verdict_gives_its_last_lines() {
        let output = TestOutput::read(&"noise\n".repeat(100));
        assert_eq!((output.report.len(), output.failed.len()), (60, 0));
    }
}
