//! Times single operations, in turns on each way.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::served::interrupted;
use crate::served::way::Way;

/// The number of operations, and the rest between them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The number of turns of each way.
    pub turns: usize,
    /// The number of operations in a turn. Each is timed alone.
    pub batch: usize,
    /// The rest before each operation.
    pub rest: Duration,
    /// No new turn begins after this time.
    pub time: Duration,
}

/// The ways that are compared, the kernel's first.
pub type Ways<'a> = [&'a mut dyn Way; 3];

const WAYS: [&str; 3] = ["kernel", "FUSE", "socket"];

/// The microseconds of every operation, for each way. An operation may be timed in several parts.
///
/// # Errors
/// As the operation.
pub fn in_turns<const PARTS: usize>(
    ways: &mut Ways<'_>,
    pace: Pace,
    mut operation: impl FnMut(&mut dyn Way, usize, usize) -> io::Result<[f64; PARTS]>,
) -> io::Result<[Vec<[f64; PARTS]>; 3]> {
    let mut times = [const { Vec::new() }; 3];
    let begun = Instant::now();
    for turn in 0..pace.turns {
        // The first turn is not measured: it pays for work that is done once.
        if turn > 1 && begun.elapsed() > pace.time {
            break;
        }
        for (at, way) in ways.iter_mut().enumerate() {
            interrupted::check()?;
            for number in 0..pace.batch {
                thread::sleep(pace.rest);
                let number = turn * pace.batch + number;
                let failed = |error| io::Error::other(format!("{}, number {number}: {error}", WAYS[at]));
                let taken = operation(&mut **way, at, number).map_err(failed)?;
                if turn > 0 {
                    times[at].push(taken);
                }
            }
        }
    }
    Ok(times)
}

/// Runs an operation and returns its time in microseconds.
///
/// # Errors
/// As the operation.
pub fn time(act: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let begun = Instant::now();
    act()?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}
