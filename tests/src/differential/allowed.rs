//! What may differ between the kernel and penfold: the one list. Each entry has its number in docs/differences.md.
//!
//! L12 (order of listings), L13 (lists read twice from one open file), L14 (when a release agent runs), L16 and L34
//! (amounts of CPU time) and L33 (letter of a frozen task's state) need no entry: the comparison does not look at
//! them, between two hierarchies of the kernel neither. L94 (seeks from the end, offsets of directories): such seeks are
//! not made. L32 (death of frozen threads): no process ends or executes while it has one. L1 (charges of zombies) would change which forks are refused, and
//! so all that follows: where it matters every zombie is reaped at once.

use super::operation::{Call, Operation};
use super::outcome::{Outcome, Status};

/// A difference that is meant.
#[derive(Debug)]
pub struct Allowed {
    /// Its number in docs/differences.md.
    pub number: &'static str,
    /// Takes out of the outcomes of both sides, the kernel's first, what may differ.
    pub relax: fn(&Operation, &mut Outcome, &mut Outcome),
}

/// Between two hierarchies of the kernel nothing may differ.
pub const NOTHING: &[Allowed] = &[];

/// Between the kernel and penfold.
pub const MEANT: &[Allowed] = &[
    Allowed { number: "L10", relax: errors_of_text_that_is_not_utf8 },
    Allowed { number: "L51", relax: sizes },
    Allowed { number: "L52", relax: seeks_where_nothing_is },
    Allowed { number: "L93", relax: positioned_writes_to_what_is_read_only },
];

/// It is refused in both, here for what it is.
fn errors_of_text_that_is_not_utf8(operation: &Operation, left: &mut Outcome, right: &mut Outcome) {
    let Operation::Call(_, call) = operation else { return };
    let data = call.clone().data_mut().iter().flat_map(|text| text.0.clone()).collect();
    let refused = [&*left, &*right] == [&Outcome::Failed("ERANGE".into()), &Outcome::Failed("EINVAL".into())];
    if refused && String::from_utf8(data).is_err() {
        *right = left.clone();
    }
}

/// On the file of a removed cgroup lseek(2) and a write of nothing succeed, where the kernel answers `ENODEV`.
fn seeks_where_nothing_is(operation: &Operation, left: &mut Outcome, right: &mut Outcome) {
    let nothing = match operation {
        Operation::Call(_, Call::HandleSeek { .. }) => true,
        Operation::Call(_, Call::HandleWrite { data, .. } | Call::HandlePwrite { data, .. }) => {
            data.0.is_empty()
        }
        Operation::Call(_, Call::HandleWritev { parts, .. }) => parts.iter().all(|part| part.0.is_empty()),
        _ => false,
    };
    // a seek to before the beginning fails in both
    let for_another_reason = *right == Outcome::Failed("EINVAL".into());
    let goes = for_another_reason || !matches!(right, Outcome::Failed(_));
    if nothing && *left == Outcome::Failed("ENODEV".into()) && goes {
        *right = left.clone();
    }
}

/// `EBADF`, and `ESPIPE` from the kernel.
fn positioned_writes_to_what_is_read_only(operation: &Operation, left: &mut Outcome, right: &mut Outcome) {
    let positioned = matches!(operation, Operation::Call(_, Call::HandlePwrite { .. }));
    let errors = [&*left, &*right].map(|outcome| match outcome {
        Outcome::Failed(errno) => errno.as_str(),
        _ => "",
    });
    if positioned && errors == ["ESPIPE", "EBADF"] {
        *right = left.clone();
    }
}

/// Files have a size, that of the blocks that their content would need at most; the kernel shows 0.
fn sizes(_: &Operation, left: &mut Outcome, right: &mut Outcome) {
    let relax = |status: &mut Status| {
        let whole = status.size % 4096 == 0 && status.blocks == status.size / 512;
        if status.mode.starts_with("10") && whole {
            (status.size, status.blocks) = (0, 0);
        }
    };
    for outcome in [left, right] {
        match outcome {
            Outcome::Status(status) => relax(status),
            Outcome::Tree(nodes) => {
                nodes.iter_mut().filter_map(|node| node.status.as_mut().ok()).for_each(relax);
            }
            _ => {}
        }
    }
}
