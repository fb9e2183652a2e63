//! Work on many cgroups in slices, so that it keeps no other user from the engine.
//!
//! Each slice is one request of bounded length. Between two slices other users have their turns, the host deals with
//! its tasks, and the tree may change. So the parts of a long answer are of different moments. A subtree that fits in
//! one slice is answered from one moment.

use std::time::{Duration, Instant};

use penfold_core::tree::DepthFirst;
use penfold_core::{CgroupId, Engine, host::Host};

use crate::failure::Failure;
use crate::service::Service;

/// The most steps of one slice. A step is work on one cgroup, or of a like size.
const STEPS: usize = 256;
/// The time after which a slice ends with the step that it has begun.
const TIME: Duration = Duration::from_millis(1);

/// The bound of one slice.
#[derive(Debug)]
pub(crate) struct Slice {
    began: Instant,
    left: usize,
}

impl Slice {
    /// The bound of a slice that begins now.
    pub(crate) fn begin() -> Slice {
        Slice { began: Instant::now(), left: STEPS }
    }

    /// True if the slice may do one more step. True at least once, so that every slice gets on.
    pub(crate) fn step(&mut self) -> bool {
        let first = self.left == STEPS;
        let more = self.left > 0 && (first || self.began.elapsed() < TIME);
        self.left = self.left.saturating_sub(1);
        more
    }
}

/// Whether the first slice settles forks in flight, so that its counts are exact. Later slices do not: every fork of the
/// daemon would wait once for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Exact,
    Any,
}

/// What a walk does below the cgroup that it has just visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    Visit,
    Skip,
}

impl Service {
    /// Calls `slice` in one request after the other, until it returns false: it is done. `slice` must be short, see
    /// [`Slice`].
    ///
    /// # Errors
    /// `ESHUTDOWN` when the daemon is ending, and the errors of `slice`.
    pub(crate) fn in_slices(
        &self,
        counts: Counts,
        mut slice: impl FnMut(&mut Engine, &mut dyn Host) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut place = None;
        let mut exact = counts == Counts::Exact;
        loop {
            let more = if exact { self.with_exact(&mut slice)?? } else { self.with_engine(&mut slice)?? };
            if !more {
                return Ok(());
            }
            exact = false;
            // work that fits in one slice is not long
            place.get_or_insert_with(|| self.long_work()).pass();
        }
    }

    /// Calls `visit` with each cgroup of a subtree and its depth below the top, parents before children, in slices. A
    /// cgroup that is removed meanwhile is left out, and the walk goes on: see [`penfold_core::tree::DepthFirst`].
    ///
    /// # Errors
    /// As [`Service::in_slices`].
    pub(crate) fn walk(
        &self,
        top: CgroupId,
        counts: Counts,
        mut visit: impl FnMut(&mut Engine, &mut dyn Host, CgroupId, usize) -> Result<Below, Failure>,
    ) -> Result<(), Failure> {
        let mut walk = DepthFirst::new(top);
        self.in_slices(counts, |engine, host| {
            let mut slice = Slice::begin();
            while slice.step() {
                let Some((at, depth)) = walk.next(engine.tree()) else { return Ok(false) };
                if visit(engine, host, at, depth)? == Below::Skip {
                    walk.skip_below();
                }
            }
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_has_at_least_one_step_and_at_most_its_bound() {
        let mut slice = Slice::begin();
        let steps = std::iter::from_fn(|| slice.step().then_some(())).count();
        assert!((1..=STEPS).contains(&steps));
        let mut late = Slice { began: Instant::now().checked_sub(TIME).expect("a past"), left: STEPS };
        assert!(late.step() && !late.step());
    }
}
