//! Plays scenarios at the same time, since most of their time they wait for later work of the kernel.

use crate::scenarios::Scenario;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::thread;

/// The number of scenarios that are played at a time.
const AT_A_TIME: usize = 4;

/// Calls `play` for each scenario, and returns the results in the order of the scenarios.
///
/// Scenarios that would meet in a hierarchy are played one after the other.
pub fn side_by_side<'a, R: Send>(
    scenarios: impl IntoIterator<Item = &'a Scenario>,
    play: impl Fn(&'a Scenario) -> R + Sync,
) -> Vec<R> {
    let mut chains: BTreeMap<String, Vec<(usize, &Scenario)>> = BTreeMap::new();
    for (index, scenario) in scenarios.into_iter().enumerate() {
        chains.entry(meeting_place(scenario)).or_default().push((index, scenario));
    }
    let mut waiting: Vec<_> = chains.into_values().collect();
    waiting.sort_by_key(|chain| std::cmp::Reverse(chain.len()));
    let waiting = Mutex::new(VecDeque::from(waiting));
    let done = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let Some(chain) = waiting.lock().expect("no panic").pop_front() else { return };
            for (index, scenario) in chain {
                let result = play(scenario);
                done.lock().expect("no panic").insert(index, result);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            // with the message of the scenario that failed
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    done.into_inner().expect("no panic").into_values().collect()
}

/// A key that is equal for scenarios that meet.
///
/// Scenarios that bind controllers take them from one another. In a hierarchy of the machine a scenario may count the
/// cgroups of others. A scenario that mounts a hierarchy of its own meets no other.
fn meeting_place(scenario: &Scenario) -> String {
    match scenario.opens {
        _ if !scenario.binds.is_empty() => "bound".to_owned(),
        [] => scenario.name.to_owned(),
        opens => opens.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SCENARIOS;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_scenario_is_played_once_in_order() {
        let played = side_by_side(SCENARIOS, |scenario| scenario.name);
        assert_eq!(played, SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>());
    }

    #[test]
    fn scenarios_that_meet_are_never_played_at_once() {
        let inside = AtomicUsize::new(0);
        side_by_side(SCENARIOS.iter().filter(|scenario| scenario.opens == ["cpuset"]), |_| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
