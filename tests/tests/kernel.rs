//! Every scenario on the machine's own cgroup v1, against what was recorded.
//!
//! `PENFOLD_RECORD=1` replaces the recordings instead.

use penfold_tests::{Kernel, Run, SCENARIOS, Scenario, recording};
use std::path::Path;

/// The transcript of a scenario on the kernel, or why there is none.
fn on_kernel(scenario: &Scenario) -> Result<String, String> {
    let mut kernel = Kernel::new(Path::new(env!("CARGO_BIN_EXE_member")))?;
    kernel.can_play(scenario)?;
    let mut run = Run::new(&mut kernel);
    (scenario.play)(&mut run);
    Ok(run.into_transcript())
}

#[test]
fn kernel_does_what_was_recorded() {
    let wanted = std::env::var("PENFOLD_SCENARIO").ok();
    let record = std::env::var_os("PENFOLD_RECORD").is_some();
    let mut failures = Vec::new();
    for scenario in SCENARIOS.iter().filter(|s| wanted.as_ref().is_none_or(|w| s.name.contains(w.as_str()))) {
        let transcript = match on_kernel(scenario) {
            Ok(transcript) => transcript,
            Err(reason) => {
                println!("skipped: {}: {reason}", scenario.name);
                assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{}: {reason}", scenario.name);
                continue;
            }
        };
        if record {
            recording::store(scenario.name, &transcript).expect("recorded/ can be written");
            continue;
        }
        if !recording::recorded_here() {
            println!("skipped: {}: recorded on another kernel or another number of CPUs", scenario.name);
            continue;
        }
        let recorded = recording::load(scenario.name).unwrap_or_default();
        let differences = recording::differences(&recorded, &transcript);
        if !differences.is_empty() {
            failures.push(format!("{}:\n{}", scenario.name, differences.join("\n")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_scenario_has_a_recording_and_no_recording_lacks_its_scenario() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
    let mut recordings: Vec<_> = std::fs::read_dir(directory)
        .expect("recorded/ is there")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().trim_end_matches(".txt").to_owned())
        .collect();
    let mut names: Vec<_> = SCENARIOS.iter().map(|s| s.name.to_owned()).collect();
    recordings.sort();
    names.sort();
    assert_eq!(recordings, names);
}
