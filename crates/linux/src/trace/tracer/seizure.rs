//! The state of a process that is being seized.

use std::time::Instant;

use penfold_core::Tid;

use crate::trace::os::filter::TracedCalls;

/// The facts of an adoption.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adoption {
    /// The begin, in ticks of 1/100 s since boot.
    pub(crate) began: u64,
    /// The parent, for late children of it; `None` for the process itself.
    pub(crate) parent: Option<Tid>,
    /// The calls that the process's filter of an earlier supervisor stops.
    pub(crate) filter: Option<TracedCalls>,
}

impl Adoption {
    /// The adoption of late children of a task.
    pub(crate) fn of_children(self, parent: Tid) -> Adoption {
        Adoption { parent: Some(parent), filter: None, ..self }
    }
}

/// The threads of one process on their way to this tracer.
#[derive(Debug, Clone)]
pub(crate) struct Seizure {
    pub(crate) tgid: Tid,
    pub(crate) adoption: Adoption,
    pub(crate) since: Instant,
    /// The number of reads of the list of threads.
    pub(crate) rounds: u32,
    /// The thread whose seize failed last, and the time of its first failure.
    pub(crate) refused: Option<(Tid, Instant)>,
}

impl Seizure {
    pub(crate) fn new(tgid: Tid, adoption: Adoption) -> Seizure {
        Seizure { tgid, adoption, since: Instant::now(), rounds: 0, refused: None }
    }
}
