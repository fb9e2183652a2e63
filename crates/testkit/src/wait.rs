//! Waiting for a condition: it is looked at again and again until it holds, or until a deadline.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long [`wait_until`] and [`wait_for`] wait: 20 seconds, for a machine in use.
///
/// No test measures time by it. Only a test that fails waits that long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two attempts: short at first, and twice as long after each attempt up to the longest.
const PAUSES: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(2)];

/// Repeats `attempt` until it succeeds, and returns its value.
///
/// # Errors
/// That of the last attempt, when `patience` is over. At least one attempt is made.
pub fn retry<T, E>(patience: Duration, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let start = Instant::now();
    let [mut pause, longest] = PAUSES;
    loop {
        match attempt() {
            Err(_) if start.elapsed() < patience => std::thread::sleep(pause),
            outcome => return outcome,
        }
        pause = longest.min(pause * 2);
    }
}

/// Waits until a condition holds. `what` names the condition in the panic after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = retry(PATIENCE, || if holds() { Ok(()) } else { Err(()) });
    assert!(held.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// Waits until `look` returns a value of which `holds` is true, and returns that value. The panic after [`PATIENCE`] shows
/// the last value.
#[track_caller]
pub fn wait_for<T: Debug>(what: &str, mut look: impl FnMut() -> T, holds: impl Fn(&T) -> bool) -> T {
    let seen = retry(PATIENCE, || {
        let seen = look();
        if holds(&seen) { Ok(seen) } else { Err(seen) }
    });
    seen.unwrap_or_else(|last| panic!("not within {PATIENCE:?}: {what}; last seen: {last:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_returns_the_first_success() {
        let mut attempts = 0;
        let mut attempt = || {
            attempts += 1;
            if attempts == 3 { Ok(attempts) } else { Err(attempts) }
        };
        assert_eq!(retry(PATIENCE, &mut attempt), Ok(3));
    }

    #[test]
    fn retry_without_patience_makes_one_attempt() {
        let mut attempts = 0;
        let outcome: Result<(), i32> = retry(Duration::ZERO, || {
            attempts += 1;
            Err(attempts)
        });
        assert_eq!(outcome, Err(1));
    }

    #[test]
    fn wait_for_returns_what_it_has_seen() {
        let mut seen = 0;
        let look = || {
            seen += 1;
            seen
        };
        assert_eq!(wait_for("three", look, |seen| *seen == 3), 3);
    }
}
