//! The threads that never run their program, as far as they have been found: see [`workers`](super::workers).

use std::time::{Duration, Instant};

use penfold_core::Tid;

use super::number_map::TidSet;

/// The interval of looks without a request.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);

/// The threads that never run their program, and the looks for more of them.
#[derive(Debug, Default)]
pub(crate) struct KnownWorkers {
    /// The living ones, as of the last look.
    pub(crate) tids: TidSet,
    /// Living processes that have had one.
    pub(crate) processes: TidSet,
    /// Other processes that are still to be looked at in this round.
    pub(crate) round: Vec<Tid>,
    /// The time before which no slice is due.
    pub(crate) slice_at: Option<Instant>,
    /// The time before which no look at processes with workers is due.
    pub(crate) workers_at: Option<Instant>,
    pub(crate) looked: Option<Instant>,
}

impl KnownWorkers {
    /// The interval of wake-ups that looks without a request need; `None` for none.
    pub(crate) fn period(&self) -> Option<Duration> {
        (!self.tids.is_empty()).then_some(PERIOD)
    }
}
