//! Every scenario on penfold, compared line by line with the kernel's own cgroup v1.

use penfold_testkit::skip_even_in_ci;
use penfold_tests::kernel::Hindrance;
use penfold_tests::recording::{self, LineDifference, RECORDED_CPUS};
use penfold_tests::{KernelTarget, PenfoldTarget, SCENARIOS, Scenario, ScenarioRun, WALKS, side_by_side};
use std::path::Path;

/// A line that may differ, and why; docs/differences.md says the same at length.
struct AllowedLine {
    scenario: &'static str,
    /// The beginning of the expected line.
    line: &'static str,
    /// The kernel's answer, from which penfold's differs.
    kernel: &'static str,
    reason: &'static str,
}

const ALLOWED: &[AllowedLine] = &[
    AllowedLine {
        scenario: "cpuset_members",
        line: "/proc/{p}/cpuset",
        kernel: "(top)/g",
        reason: "penfold keeps no record of the cpuset that a zombie died in",
    },
    AllowedLine {
        scenario: "pids_zombies",
        line: "read P/pids.current",
        kernel: "\"2\\n\"",
        reason: "a zombie's charge is given back at exit, not when it is reaped",
    },
];

fn on_penfold(scenario: &Scenario, play: impl FnOnce(&mut ScenarioRun)) -> String {
    let mut penfold = PenfoldTarget::new(RECORDED_CPUS);
    if let Err(reason) = penfold.can_play(scenario) {
        return reason;
    }
    let mut run = ScenarioRun::new(&mut penfold);
    play(&mut run);
    run.into_transcript()
}

fn on_kernel(
    scenario: &Scenario,
    attempt: u32,
    play: impl FnOnce(&mut ScenarioRun),
) -> Result<String, Hindrance> {
    let mut kernel = KernelTarget::new(Path::new(env!("CARGO_BIN_EXE_member")))?.at_attempt(attempt);
    kernel.can_play(scenario)?;
    let mut run = ScenarioRun::new(&mut kernel);
    play(&mut run);
    Ok(run.into_transcript())
}

fn find_allowance(scenario: &Scenario, difference: &LineDifference) -> Option<usize> {
    ALLOWED.iter().position(|allowed| {
        allowed.scenario == scenario.name
            && difference.expected.starts_with(allowed.line)
            && difference.expected.ends_with(allowed.kernel)
    })
}

/// The differences without an allowance, as text. Sets `needed` for the allowances that were needed.
fn unexplained(scenario: &Scenario, expected: &str, got: &str, needed: &mut [bool]) -> Option<String> {
    let mut found = Vec::new();
    for difference in recording::differing_lines(expected, got) {
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
        failures.extend(unexplained(scenario, &recorded, &on_penfold(scenario, scenario.play), &mut needed));
    }
    println!("{lines} lines compared");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if std::env::var_os("PENFOLD_SCENARIO").is_none() {
        for (allowed, needed) in ALLOWED.iter().zip(needed) {
            assert!(needed, "no longer differs: {} {} ({})", allowed.scenario, allowed.line, allowed.reason);
        }
    }
}

/// Runs only on a kernel and a machine like those of the recordings: others have other files and other CPUs.
#[test]
fn penfold_does_what_this_kernel_does() {
    if !recording::recorded_here() {
        return skip_even_in_ci("the scenarios were written for another kernel or another number of CPUs");
    }
    let (mut failures, mut played) = (Vec::new(), 0);
    let compared = side_by_side(SCENARIOS.iter().filter(is_wanted), |scenario| {
        (scenario, compare_live(scenario, scenario.play))
    });
    for (scenario, compared) in compared {
        match compared {
            Err(reason) => reason.skip(scenario.name),
            Ok(found) => {
                played += 1;
                failures.extend(found);
            }
        }
    }
    println!("{played} scenarios played on both");
    walk_elsewhere(&mut failures);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Plays on both. A difference counts only if it comes each time: on a busy machine later work of the kernel may come
/// after the longest wait.
fn compare_live(scenario: &Scenario, play: impl Fn(&mut ScenarioRun)) -> Result<Option<String>, Hindrance> {
    let mut found = None;
    for attempt in 0..3 {
        let transcript = on_kernel(scenario, attempt, &play)?;
        let mut needed = vec![false; ALLOWED.len()];
        found = unexplained(scenario, &transcript, &on_penfold(scenario, &play), &mut needed);
        match &found {
            None => break,
            Some(found) => println!("differed, once more: {found}"),
        }
    }
    Ok(found)
}

/// Takes the random walks with other seeds: `PENFOLD_SEEDS` or one of them, from `PENFOLD_FIRST_SEED` or 2 on.
fn walk_elsewhere(failures: &mut Vec<String>) {
    let number = |name: &str, default| {
        std::env::var(name)
            .map_or(default, |text| text.parse().expect("the number of seeds and the first are numbers"))
    };
    let (seeds, first) = (number("PENFOLD_SEEDS", 1), number("PENFOLD_FIRST_SEED", 2));
    let walk = |scenario: &Scenario| WALKS.iter().find(|walk| walk.scenario == scenario.name);
    let is_walk = |scenario: &&Scenario| is_wanted(scenario) && walk(scenario).is_some();
    let walked = side_by_side(SCENARIOS.iter().filter(is_walk), |scenario| {
        let walk = walk(scenario).expect("asked for above");
        let mut found = Vec::new();
        for seed in first..first + seeds {
            match compare_live(scenario, |run| (walk.play)(run, seed)) {
                Err(reason) => reason.skip(walk.scenario),
                Ok(difference) => found.extend(difference.map(|found| format!("seed {seed}: {found}"))),
            }
        }
        found
    });
    failures.extend(walked.into_iter().flatten());
}
