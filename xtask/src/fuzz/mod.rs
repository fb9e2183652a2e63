//! `cargo xtask fuzz`: builds the targets of `fuzz/` with coverage and runs each for a while, as many at a time as
//! there are CPUs.
//!
//! One line for each target has the number of inputs, and the number of edges of the code that they reached. A finding
//! is shown with the target's report, the input and the command that plays the input again.

mod build;
mod log;
mod run;

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use build::build;
pub(crate) use build::compiler;
use run::{TargetRun, replay, run};

/// Seconds for each target without the option `--seconds`.
const SECONDS: u32 = 60;

/// The command line of `cargo xtask fuzz`.
#[derive(Debug, PartialEq)]
struct FuzzArguments {
    seconds: u32,
    /// The one input to play, instead of a search for new inputs.
    input: Option<PathBuf>,
    /// The targets; empty for all.
    targets: Vec<String>,
}

/// Runs the targets that are named, or all, each for `--seconds N`; or one target with `--input FILE`.
///
/// # Errors
/// Without a C++ compiler, for a target that does not build, and for a finding.
pub(crate) fn fuzz(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let wanted = parse(arguments)?;
    compiler()?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let directory =
        directory.canonicalize().map_err(|error| format!("fuzz: {}: {error}", directory.display()))?;
    let targets = chosen(&directory, &wanted.targets)?;
    let programs = build(&directory, &targets)?;
    match wanted.input {
        Some(input) => replay(&programs, &targets[0], &input),
        None => explore(&directory, &programs, targets, wanted.seconds),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<FuzzArguments, String> {
    let mut wanted = FuzzArguments { seconds: SECONDS, input: None, targets: Vec::new() };
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            // libFuzzer takes 0 for no limit
            let number = number.filter(|&number| number > 0);
            wanted.seconds = number.ok_or("fuzz: --seconds takes a number above 0")?;
        } else if argument == "--input" {
            wanted.input = Some(arguments.next().ok_or("fuzz: --input takes a file")?.into());
        } else if argument.starts_with('-') {
            return Err(format!("fuzz: {argument}: takes --seconds N, --input FILE and names of targets"));
        } else {
            wanted.targets.push(argument);
        }
    }
    if wanted.input.is_some() && wanted.targets.len() != 1 {
        return Err("fuzz: --input FILE takes one target, which is to read the file".to_owned());
    }
    Ok(wanted)
}

/// The targets that are named, or all, in alphabetical order.
fn chosen(directory: &Path, named: &[String]) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(directory.join("fuzz_targets")).map_err(|error| format!("fuzz: {error}"))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut all: Vec<String> =
        files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    all.sort();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        return Err(format!("fuzz: no target is called {unknown}, there are {}", all.join(", ")));
    }
    all.retain(|target| named.is_empty() || named.contains(target));
    Ok(all)
}

/// Searches for findings in all targets, also after the first finding.
fn explore(directory: &Path, programs: &Path, targets: Vec<String>, seconds: u32) -> Result<(), String> {
    let at_a_time = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    eprintln!("xtask: fuzz: {} targets, {seconds} s each, {at_a_time} at a time", targets.len());
    let waiting = Mutex::new(VecDeque::from(targets));
    let outcomes: Mutex<Vec<TargetRun>> = Mutex::default();
    let work = || -> Result<(), String> {
        loop {
            let Some(target) = waiting.lock().expect("no panic").pop_front() else { return Ok(()) };
            let outcome = run(directory, programs, &target, seconds)?;
            // under the lock, so that the lines of two findings do not mix
            let mut outcomes = outcomes.lock().expect("no panic");
            eprint!("{outcome}");
            outcomes.push(outcome);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no panic"))
    })?;
    let outcomes = outcomes.into_inner().expect("no panic");
    let failed: Vec<&str> =
        outcomes.iter().filter(|outcome| outcome.failure.is_some()).map(|it| it.target.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("fuzz: findings in {}", failed.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<FuzzArguments, String> {
        parse(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn targets_run_for_a_minute_without_options() {
        let all = FuzzArguments { seconds: 60, input: None, targets: Vec::new() };
        assert_eq!(parsed(""), Ok(all));
        let some =
            FuzzArguments { seconds: 5, input: None, targets: vec!["journal".into(), "shares".into()] };
        assert_eq!(parsed("journal --seconds 5 shares"), Ok(some));
        let one =
            FuzzArguments { seconds: 60, input: Some("crash-1".into()), targets: vec!["journal".into()] };
        assert_eq!(parsed("--input crash-1 journal"), Ok(one));
    }

    #[test]
    fn invalid_options_are_refused() {
        for arguments in
            ["--seconds", "--seconds 0", "--seconds x", "--input", "--input x", "--input x a b", "-x"]
        {
            assert!(parsed(arguments).is_err(), "{arguments}");
        }
    }

    #[test]
    fn name_that_is_no_target_is_refused() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let all = chosen(&directory, &[]).unwrap();
        assert!(all.contains(&"journal".to_owned()));
        assert_eq!(chosen(&directory, &["journal".into()]).unwrap(), ["journal"]);
        let refused = chosen(&directory, &["journal".into(), "jornal".into()]).unwrap_err();
        assert!(refused.contains("no target is called jornal"), "{refused}");
    }
}
