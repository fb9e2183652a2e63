//! Parses the log of libFuzzer.

/// The most lines of a report that are shown: the message and the nearer callers. The rest is in the file.
const LONGEST_REPORT: usize = 60;

/// The results in a log.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FuzzLog {
    /// The number of inputs that were tried.
    pub(super) executions: Option<u64>,
    /// The number of edges of the code that were reached.
    pub(super) coverage: Option<u64>,
    /// The file with the input of a finding.
    pub(super) input: Option<String>,
    /// The report of the finding: the panic, its callers, the input itself.
    pub(super) report: Vec<String>,
}

impl FuzzLog {
    /// Reads a log, which may be incomplete.
    pub(super) fn read(text: &str) -> FuzzLog {
        let mut log = FuzzLog::default();
        for line in text.lines() {
            if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
                log.executions = number.trim().parse().ok();
            } else if let Some((_, rest)) = line.split_once(" cov: ").filter(|_| line.starts_with('#')) {
                log.coverage = rest.split(' ').next().and_then(|number| number.parse().ok());
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                log.input = Some(path.to_owned());
            }
        }
        let begins = |line: &&str| line.contains("panicked at") || line.contains("ERROR: libFuzzer");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("stat::")).collect();
        // of a run that was killed there are only the last lines
        let from = lines.iter().position(begins).unwrap_or(lines.len().saturating_sub(10));
        log.report = lines[from..].iter().take(LONGEST_REPORT).map(|&line| line.to_owned()).collect();
        // a short input is in one line, for readers who have nothing but this output
        let base64 = text.lines().rev().find(|line| line.starts_with("Base64: ")).map(str::to_owned);
        log.report.extend(base64.filter(|line| !log.report.contains(line)));
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
INFO: seed corpus: files: 71 min: 2b max: 81b total: 4179b rss: 27Mb
#72\tINITED cov: 1210 ft: 2503 corp: 49/2747b exec/s: 0 rss: 28Mb
#74\tNEW    cov: 1212 ft: 2504 corp: 50/2828b lim: 81 exec/s: 0 rss: 28Mb L: 81/81 MS: 2 ChangeBinInt-CopyPart-
#12964\tDONE   cov: 1356 ft: 3440 corp: 157/8272b lim: 81 exec/s: 1200 rss: 29Mb
Done 12964 runs in 9 second(s)
stat::number_of_executed_units: 12964
stat::average_exec_per_sec:     1440
";

    const FINDING: &str = "\
#512\tNEW    cov: 1214 ft: 2604 corp: 75/4828b lim: 81 exec/s: 256 rss: 77Mb L: 16/81 MS: 1 CopyPart-
thread '<unnamed>' (19878) panicked at fuzz_targets/shares.rs:48:9:
broken on purpose
stack backtrace:
==19878== ERROR: libFuzzer: deadly signal
SUMMARY: libFuzzer: deadly signal
artifact_prefix='artifacts/shares/'; Test unit written to artifacts/shares/crash-29bfb75f
Base64: gXJlcz14P3JubnJ4clI9dQ==
stat::number_of_executed_units: 539
";

    #[test]
    fn log_has_executions_and_the_last_coverage() {
        let log = FuzzLog::read(QUIET);
        assert_eq!((log.executions, log.coverage, log.input), (Some(12964), Some(1356), None));
    }

    #[test]
    fn log_of_a_finding_has_its_input_and_report() {
        let log = FuzzLog::read(FINDING);
        assert_eq!((log.executions, log.coverage), (Some(539), Some(1214)));
        assert_eq!(log.input.as_deref(), Some("artifacts/shares/crash-29bfb75f"));
        assert!(log.report[0].contains("panicked at fuzz_targets/shares.rs:48:9"), "{:?}", log.report);
        assert_eq!(log.report[1], "broken on purpose");
        assert_eq!(log.report.last().unwrap(), "Base64: gXJlcz14P3JubnJ4clI9dQ==");
    }

    #[test]
    fn long_report_keeps_its_input() {
        let frames = "  at somewhere\n".repeat(LONGEST_REPORT);
        let log = FuzzLog::read(&FINDING.replace("stack backtrace:\n", &frames));
        assert_eq!(log.report.len(), LONGEST_REPORT + 1);
        assert_eq!(log.report.last().unwrap(), "Base64: gXJlcz14P3JubnJ4clI9dQ==");
    }

    #[test]
    fn run_without_instrumentation_has_no_coverage() {
        let log = FuzzLog::read("INFO: A corpus is not provided\n#2\tINITED exec/s: 0 rss: 27Mb\n");
        assert_eq!((log.executions, log.coverage), (None, None));
    }

    #[test]
    fn log_of_a_killed_run_has_its_last_lines() {
        let log = FuzzLog::read(&QUIET.lines().take(4).collect::<Vec<_>>().join("\n"));
        assert_eq!(log.executions, None);
        assert!(log.report.last().unwrap().starts_with("#12964"), "{:?}", log.report);
    }
}
