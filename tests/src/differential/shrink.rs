//! The shortest sequence that still shows a difference.

use super::compare::agree;
use super::operation::Operation;
use super::outcome::Outcome;
use super::pair::{Difference, Pair, Source};
use std::io;
use std::time::{Duration, Instant};

/// Longest time to spend.
const LIMIT: Duration = Duration::from_secs(30);

/// Leaves steps out, many at a time first and one by one at last, as long as a difference stays. None when not even
/// the whole sequence shows it again.
pub fn shrink(pair: &mut Pair, steps: Vec<Operation>) -> io::Result<Option<(Vec<Operation>, Difference)>> {
    let begin = Instant::now();
    let Some((mut steps, mut difference)) = replay(pair, steps)? else { return Ok(None) };
    let mut chunk = steps.len().div_ceil(2);
    loop {
        let mut from = 0;
        let mut shorter = false;
        while from < steps.len() && begin.elapsed() < LIMIT {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + chunk).min(fewer.len()));
            // the last look at everything may have been added
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
struct Again<'a> {
    steps: std::iter::Cloned<std::slice::Iter<'a, Operation>>,
    outcomes: Vec<Outcome>,
}

impl Source for Again<'_> {
    fn next(&mut self) -> Option<Operation> {
        Iterator::next(&mut self.steps)
    }

    fn learn(&mut self, _: &Operation, outcome: &Outcome) {
        self.outcomes.push(outcome.clone());
    }
}

/// How often a sequence must agree before its difference counts as a disturbance.
const REPLAYS: usize = 3;

/// True if only the left side's outcome was out of the ordinary: each replay of the steps agrees, and the right side's
/// outcome is the one of the replays. The kernel is one for the whole machine, so another process may have changed its
/// state for a moment.
pub fn is_disturbance(pair: &mut Pair, steps: &[Operation], difference: &Difference) -> io::Result<bool> {
    for _ in 0..REPLAYS {
        let mut again = Again { steps: steps.iter().cloned(), outcomes: Vec::new() };
        let played = pair.play(&mut again)?;
        let usual = again.outcomes.get(steps.len() - 1);
        if played.difference.is_some() || usual.is_none_or(|usual| !agree(usual, &difference.right)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Plays steps again; if there is a difference, the steps up to it.
pub fn replay(pair: &mut Pair, steps: Vec<Operation>) -> io::Result<Option<(Vec<Operation>, Difference)>> {
    let played = pair.play(&mut steps.into_iter())?;
    Ok(played.difference.map(|difference| (played.steps, difference)))
}
