//! The state of a process that is being seized.

use std::time::Instant;

use penfold_core::Tid;

use crate::trace::os::filter::TracedCalls;

/// What an adoption is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adoption {
    /// In ticks since boot.
    pub(crate) began: u64,
    /// Whose late children these are; `None` for the process itself.
    pub(crate) parent: Option<Tid>,
    /// What the process has from an earlier supervisor.
    pub(crate) filter: Option<TracedCalls>,
}

impl Adoption {
    /// The same for late children of a task.
    pub(crate) fn of(self, parent: Tid) -> Adoption {
        Adoption { parent: Some(parent), filter: None, ..self }
    }
}

/// The threads of one process on their way to this tracer.
#[derive(Debug, Clone)]
pub(crate) struct Seizure {
    pub(crate) tgid: Tid,
    pub(crate) adoption: Adoption,
    pub(crate) since: Instant,
    /// How often the list of threads has been read.
    pub(crate) rounds: u32,
    /// The thread that refuses, and since when.
    pub(crate) refused: Option<(Tid, Instant)>,
}

impl Seizure {
    pub(crate) fn new(tgid: Tid, adoption: Adoption) -> Seizure {
        Seizure { tgid, adoption, since: Instant::now(), rounds: 0, refused: None }
    }
}
