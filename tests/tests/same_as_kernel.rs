//! Every scenario on penfold, compared line by line with the kernel's own cgroup v1.

use penfold_tests::recording::{self, Difference, RECORDED_CPUS};
use penfold_tests::{Kernel, Penfold, Run, SCENARIOS, Scenario};
use std::path::Path;

/// A line that may differ, and why; docs/differences.md says the same at length.
struct Allowed {
    scenario: &'static str,
    /// How the expected line begins.
    line: &'static str,
    /// What the kernel answers and penfold does not.
    kernel: &'static str,
    reason: &'static str,
}

const ALLOWED: &[Allowed] = &[];

fn on_penfold(scenario: &Scenario) -> String {
    let mut penfold = Penfold::new(RECORDED_CPUS);
    if let Err(reason) = penfold.can_play(scenario) {
        return reason;
    }
    let mut run = Run::new(&mut penfold);
    (scenario.play)(&mut run);
    run.into_transcript()
}

fn on_kernel(scenario: &Scenario) -> Result<String, String> {
    let mut kernel = Kernel::new(Path::new(env!("CARGO_BIN_EXE_member")))?;
    kernel.can_play(scenario)?;
    let mut run = Run::new(&mut kernel);
    (scenario.play)(&mut run);
    Ok(run.into_transcript())
}

fn find_allowance(scenario: &Scenario, difference: &Difference) -> Option<usize> {
    ALLOWED.iter().position(|allowed| {
        allowed.scenario == scenario.name
            && difference.expected.starts_with(allowed.line)
            && difference.expected.ends_with(allowed.kernel)
    })
}

/// The differences that nobody has given a reason for, as text; notes which allowances were needed.
fn unexplained(scenario: &Scenario, expected: &str, needed: &mut [bool]) -> Option<String> {
    let got = on_penfold(scenario);
    let mut found = Vec::new();
    for difference in recording::differing_lines(expected, &got) {
        match find_allowance(scenario, &difference) {
            Some(index) => needed[index] = true,
            None => found.push(difference.to_string()),
        }
    }
    (!found.is_empty()).then(|| format!("{}:\n{}", scenario.name, found[..found.len().min(20)].join("\n")))
}

fn is_wanted(scenario: &&Scenario) -> bool {
    std::env::var("PENFOLD_SCENARIO").map_or(true, |wanted| scenario.name.contains(&wanted))
}

#[test]
fn penfold_does_what_was_recorded() {
    let mut needed = vec![false; ALLOWED.len()];
    let (mut failures, mut lines) = (Vec::new(), 0);
    for scenario in SCENARIOS.iter().filter(is_wanted) {
        let recorded = recording::load(scenario.name).expect("every scenario has a recording");
        lines += recorded.lines().count();
        failures.extend(unexplained(scenario, &recorded, &mut needed));
    }
    println!("{lines} lines compared");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if std::env::var_os("PENFOLD_SCENARIO").is_none() {
        for (allowed, needed) in ALLOWED.iter().zip(needed) {
            assert!(needed, "no longer differs: {} {} ({})", allowed.scenario, allowed.line, allowed.reason);
        }
    }
}

/// Other kernels have other files, and other machines other CPUs: only one like the recorded one is asked itself.
#[test]
fn penfold_does_what_this_kernel_does() {
    if !recording::recorded_here() {
        println!("skipped: the scenarios were written for another kernel or another number of CPUs");
        return;
    }
    let mut needed = vec![false; ALLOWED.len()];
    let (mut failures, mut played) = (Vec::new(), 0);
    for scenario in SCENARIOS.iter().filter(is_wanted) {
        match on_kernel(scenario) {
            Err(reason) => println!("skipped: {}: {reason}", scenario.name),
            Ok(transcript) => {
                played += 1;
                failures.extend(unexplained(scenario, &transcript, &mut needed));
            }
        }
    }
    println!("{played} scenarios played on both");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
