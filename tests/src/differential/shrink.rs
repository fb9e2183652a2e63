//! Finds a short sequence that still shows a difference.

use super::operation::SideOperation;
use super::side_pair::{OutcomeDifference, SidePair};
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

/// Plays steps again. Returns a difference with the steps up to it, if there is one.
pub fn replay(
    pair: &mut SidePair,
    steps: Vec<SideOperation>,
) -> io::Result<Option<(Vec<SideOperation>, OutcomeDifference)>> {
    let played = pair.play(&mut steps.into_iter())?;
    Ok(played.difference.map(|difference| (played.steps, difference)))
}
