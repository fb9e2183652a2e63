//! Times of single operations, the ways in turns.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::served::interrupted;
use crate::served::way::Way;

/// How often, and how close together.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often each way has its turn.
    pub turns: usize,
    /// Operations in a turn, each timed alone.
    pub batch: usize,
    /// Rest before each operation.
    pub rest: Duration,
    /// No new turn after this time.
    pub time: Duration,
}

/// The ways that are compared, the kernel's first.
pub type Ways<'a> = [&'a mut dyn Way; 3];

const WAYS: [&str; 3] = ["kernel", "FUSE", "socket"];

/// Microseconds of every operation, for each way. An operation may be timed in several parts.
///
/// # Errors
/// Those of the operation.
pub fn in_turns<const PARTS: usize>(
    ways: &mut Ways<'_>,
    pace: Pace,
    mut operation: impl FnMut(&mut dyn Way, usize, usize) -> io::Result<[f64; PARTS]>,
) -> io::Result<[Vec<[f64; PARTS]>; 3]> {
    let mut times = [const { Vec::new() }; 3];
    let begun = Instant::now();
    for turn in 0..pace.turns {
        // The first turn is not measured: it pays for objects that are made once.
        if turn > 1 && begun.elapsed() > pace.time {
            break;
        }
        for (at, way) in ways.iter_mut().enumerate() {
            interrupted::check()?;
            for number in 0..pace.batch {
                thread::sleep(pace.rest);
                let number = turn * pace.batch + number;
                let told = |error| io::Error::other(format!("{}, number {number}: {error}", WAYS[at]));
                let taken = operation(&mut **way, at, number).map_err(told)?;
                if turn > 0 {
                    times[at].push(taken);
                }
            }
        }
    }
    Ok(times)
}

/// How many microseconds `act` takes.
///
/// # Errors
/// As `act`.
pub fn time(act: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let begun = Instant::now();
    act()?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}
