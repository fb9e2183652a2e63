//! What may differ between the kernel and penfold: the one list. Each entry has its number in docs/differences.md.
//!
//! D12 (order of listings), D13 (lists read twice from one open file), D14 (when a release agent runs), D16 and D34
//! (amounts of CPU time) and D33 (letter of a frozen task's state) need no entry: the comparison does not look at
//! them, between two hierarchies of the kernel neither. D1 (charges of zombies) would change which forks are refused, and
//! so all that follows: where it matters every zombie is reaped at once.

use super::operation::{Call, Operation};
use super::outcome::{Outcome, Status};

/// A difference that is meant.
#[derive(Debug)]
pub struct Allowed {
    /// Its number in docs/differences.md.
    pub number: &'static str,
    /// Takes out of an outcome what may differ; applied to both sides.
    pub relax: fn(&Operation, &mut Outcome),
}

/// Between two hierarchies of the kernel nothing may differ.
pub const NOTHING: &[Allowed] = &[];

/// Between the kernel and penfold.
pub const MEANT: &[Allowed] =
    &[Allowed { number: "D10", relax: text_that_is_not_utf8 }, Allowed { number: "size", relax: sizes }];

/// Written to a control file it is refused.
fn text_that_is_not_utf8(operation: &Operation, outcome: &mut Outcome) {
    if let Operation::Call(_, Call::Write { data, .. } | Call::HandleWrite { data, .. }) = operation
        && std::str::from_utf8(&data.0).is_err()
    {
        *outcome = Outcome::Done;
    }
}

/// Files have a size, that of the blocks that their content would need at most; the kernel shows 0.
fn sizes(_: &Operation, outcome: &mut Outcome) {
    let relax = |status: &mut Status| {
        let whole = status.size % 4096 == 0 && status.blocks == status.size / 512;
        if status.mode.starts_with("10") && whole {
            (status.size, status.blocks) = (0, 0);
        }
    };
    match outcome {
        Outcome::Status(status) => relax(status),
        Outcome::Tree(nodes) => nodes.iter_mut().filter_map(|node| node.status.as_mut().ok()).for_each(relax),
        _ => {}
    }
}
