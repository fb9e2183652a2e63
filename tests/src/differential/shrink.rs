//! Finds a short sequence that still shows a difference.

use super::compare::agree;
use super::operation::SideOperation;
use super::outcome::OperationOutcome;
use super::side_pair::{OutcomeDifference, SidePair, StepSource};
use std::io;
use std::time::{Duration, Instant};

/// The most time to spend.
const LIMIT: Duration = Duration::from_secs(30);

/// Leaves steps out, many at a time first and one by one at last, as long as a difference stays.
///
/// `None` if not even the whole sequence shows the difference again.
pub fn shrink(
    pair: &mut SidePair,
    steps: Vec<SideOperation>,
) -> io::Result<Option<(Vec<SideOperation>, OutcomeDifference)>> {
    let begin = Instant::now();
    let Some((mut steps, mut difference)) = replay(pair, steps)? else { return Ok(None) };
    let mut chunk = steps.len().div_ceil(2);
    loop {
        let mut from = 0;
        let mut shorter = false;
        while from < steps.len() && begin.elapsed() < LIMIT {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + chunk).min(fewer.len()));
            // the final comparison of the whole tree may have been added
            if let Some(found) = replay(pair, fewer)?.filter(|(found, _)| found.len() < steps.len()) {
                (steps, difference) = found;
                shorter = true;
            } else {
                from += chunk;
            }
        }
        if begin.elapsed() >= LIMIT || (chunk == 1 && !shorter) {
            return Ok(Some((steps, difference)));
        }
        chunk = chunk.div_ceil(2);
    }
}

/// Steps that are played again, with the outcomes of the left side.
struct ReplayedSteps<'a> {
    steps: std::iter::Cloned<std::slice::Iter<'a, SideOperation>>,
    outcomes: Vec<OperationOutcome>,
}

impl StepSource for ReplayedSteps<'_> {
    fn next(&mut self) -> Option<SideOperation> {
        Iterator::next(&mut self.steps)
    }

    fn learn(&mut self, _: &SideOperation, outcome: &OperationOutcome) {
        self.outcomes.push(outcome.clone());
    }
}

/// The number of replays that must agree before a difference counts as a disturbance.
const REPLAYS: usize = 3;

/// Whether only the left side's outcome was out of the ordinary.
///
/// That is so if each replay of the steps agrees, and has the right side's outcome. The kernel is one for the whole
/// machine, so another process may have changed its state for a moment.
pub fn is_disturbance(
    pair: &mut SidePair,
    steps: &[SideOperation],
    difference: &OutcomeDifference,
) -> io::Result<bool> {
    for _ in 0..REPLAYS {
        let mut again = ReplayedSteps { steps: steps.iter().cloned(), outcomes: Vec::new() };
        let played = pair.play(&mut again)?;
        let usual = again.outcomes.get(steps.len() - 1);
        if played.difference.is_some() || usual.is_none_or(|usual| !agree(usual, &difference.right)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Plays steps again. Returns a difference with the steps up to it, if there is one.
pub fn replay(
    pair: &mut SidePair,
    steps: Vec<SideOperation>,
) -> io::Result<Option<(Vec<SideOperation>, OutcomeDifference)>> {
    let played = pair.play(&mut steps.into_iter())?;
    Ok(played.difference.map(|difference| (played.steps, difference)))
}
