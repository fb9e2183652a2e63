//! What libFuzzer writes.

/// The lines of a report that are shown, at most: the message and the nearer callers, the rest is in the file.
const LONGEST_REPORT: usize = 60;

/// What is to be known of a run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Log {
    /// Inputs that were tried.
    pub(super) executions: Option<u64>,
    /// Edges of the code that were reached.
    pub(super) coverage: Option<u64>,
    /// Where the input of a finding was written.
    pub(super) input: Option<String>,
    /// What was said of the finding: the panic, where from, the input itself.
    pub(super) report: Vec<String>,
}

impl Log {
    /// Reads what there is.
    pub(super) fn read(text: &str) -> Log {
        let mut log = Log::default();
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
        // one that was killed has only its last lines to tell
        let from = lines.iter().position(begins).unwrap_or(lines.len().saturating_sub(10));
        log.report = lines[from..].iter().take(LONGEST_REPORT).map(|&line| line.to_owned()).collect();
        // a short input is told in one line, for whoever has nothing but this output
        let base64 = text.lines().rev().find(|line| line.starts_with("Base64: ")).map(str::to_owned);
        log.report.extend(base64.filter(|line| !log.report.contains(line)));
        log
    }
}
