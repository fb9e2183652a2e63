//! Every scenario on the machine's own cgroup v1, compared with its recording.
//!
//! `PENFOLD_RECORD=1` replaces the recordings instead.

use penfold_testkit::skip_even_in_ci;
use penfold_tests::kernel::Hindrance;
use penfold_tests::{KernelTarget, SCENARIOS, Scenario, ScenarioRun, recording, side_by_side};
use std::path::Path;

/// The transcript of a scenario on the kernel, or the reason why there is none.
fn on_kernel(scenario: &Scenario, attempt: u32) -> Result<String, Hindrance> {
    let mut kernel = KernelTarget::new(Path::new(env!("CARGO_BIN_EXE_member")))?.at_attempt(attempt);
    kernel.can_play(scenario)?;
    let mut run = ScenarioRun::new(&mut kernel);
    (scenario.play)(&mut run);
    Ok(run.into_transcript())
}

#[test]
fn kernel_does_what_was_recorded() {
    let wanted = std::env::var("PENFOLD_SCENARIO").ok();
    let record = std::env::var_os("PENFOLD_RECORD").is_some();
    let wanted = SCENARIOS.iter().filter(|s| wanted.as_ref().is_none_or(|w| s.name.contains(w.as_str())));
    let played = side_by_side(wanted, |scenario| (scenario, play(scenario, record)));
    let mut failures = Vec::new();
    for (scenario, played) in played {
        match played {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => failures.push(format!("{}:\n{}", scenario.name, differences.join("\n"))),
            Err(reason) => reason.skip(scenario.name),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Plays a scenario and returns its differences from the recording, or makes the recording.
fn play(scenario: &Scenario, record: bool) -> Result<Vec<String>, Hindrance> {
    let mut transcript = on_kernel(scenario, 0)?;
    if record {
        recording::store(scenario.name, &transcript).expect("recorded/ can be written");
        return Ok(Vec::new());
    }
    if !recording::recorded_here() {
        skip_even_in_ci(&format!("{}: recorded on another kernel or another number of CPUs", scenario.name));
        return Ok(Vec::new());
    }
    let recorded = recording::load(scenario.name).unwrap_or_default();
    let mut differences = recording::differences(&recorded, &transcript);
    for attempt in 1..3 {
        if differences.is_empty() {
            break;
        }
        println!("differed, once more: {}: {}", scenario.name, differences.join("\n"));
        // on a busy machine later work of the kernel may come after the longest wait, or another program may have come
        transcript = on_kernel(scenario, attempt)?;
        differences = recording::differences(&recorded, &transcript);
    }
    Ok(differences)
}

#[test]
fn scenarios_and_recordings_match() {
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
