//! What may differ between the kernel and penfold: the one list. Each entry has its number in docs/differences.md.
//!
//! D12 (order of listings), D13 (lists read twice from one open file), D14 (when a release agent runs), D16 and D34
//! (amounts of CPU time) and D33 (letter of a frozen task's state) need no entry: the comparison does not look at
//! them, between two hierarchies of the kernel neither. D94 (seeks from the end, offsets of directories): such seeks are
//! not made. D32 (death of frozen threads): no process ends or executes while it has one. D1 (charges of zombies) would change which forks are refused, and
//! so all that follows: where it matters every zombie is reaped at once.

use super::operation::{FileCall, SideOperation};
use super::outcome::{OperationOutcome, Status};

/// A difference that is meant.
#[derive(Debug)]
pub struct AllowedDifference {
    /// Its number in docs/differences.md.
    pub number: &'static str,
    /// Takes out of the outcomes of both sides, the kernel's first, what may differ.
    pub relax: fn(&SideOperation, &mut OperationOutcome, &mut OperationOutcome),
}

/// Between two hierarchies of the kernel nothing may differ.
pub const NOTHING: &[AllowedDifference] = &[];

/// Between the kernel and penfold.
pub const MEANT: &[AllowedDifference] = &[
    AllowedDifference { number: "D10", relax: errors_of_text_that_is_not_utf8 },
    AllowedDifference { number: "D51", relax: sizes },
    AllowedDifference { number: "D52", relax: seeks_where_nothing_is },
    AllowedDifference { number: "D93", relax: positioned_writes_to_what_is_read_only },
];

/// It is refused in both, here for what it is.
fn errors_of_text_that_is_not_utf8(
    operation: &SideOperation,
    left: &mut OperationOutcome,
    right: &mut OperationOutcome,
) {
    let SideOperation::Call(_, call) = operation else { return };
    let data = call.clone().data_mut().iter().flat_map(|text| text.0.clone()).collect();
    let refused = [&*left, &*right]
        == [&OperationOutcome::Failed("ERANGE".into()), &OperationOutcome::Failed("EINVAL".into())];
    if refused && String::from_utf8(data).is_err() {
        *right = left.clone();
    }
}

/// On the file of a removed cgroup lseek(2) and a write of nothing succeed, where the kernel answers `ENODEV`.
fn seeks_where_nothing_is(
    operation: &SideOperation,
    left: &mut OperationOutcome,
    right: &mut OperationOutcome,
) {
    let nothing = match operation {
        SideOperation::Call(_, FileCall::HandleSeek { .. }) => true,
        SideOperation::Call(_, FileCall::HandleWrite { data, .. } | FileCall::HandlePwrite { data, .. }) => {
            data.0.is_empty()
        }
        SideOperation::Call(_, FileCall::HandleWritev { parts, .. }) => {
            parts.iter().all(|part| part.0.is_empty())
        }
        _ => false,
    };
    // a seek to before the beginning fails in both
    let for_another_reason = *right == OperationOutcome::Failed("EINVAL".into());
    let goes = for_another_reason || !matches!(right, OperationOutcome::Failed(_));
    if nothing && *left == OperationOutcome::Failed("ENODEV".into()) && goes {
        *right = left.clone();
    }
}

/// `EBADF`, and `ESPIPE` from the kernel.
fn positioned_writes_to_what_is_read_only(
    operation: &SideOperation,
    left: &mut OperationOutcome,
    right: &mut OperationOutcome,
) {
    let positioned = matches!(operation, SideOperation::Call(_, FileCall::HandlePwrite { .. }));
    let errors = [&*left, &*right].map(|outcome| match outcome {
        OperationOutcome::Failed(errno) => errno.as_str(),
        _ => "",
    });
    if positioned && errors == ["ESPIPE", "EBADF"] {
        *right = left.clone();
    }
}

/// Files have a size, that of the blocks that their content would need at most; the kernel shows 0.
fn sizes(_: &SideOperation, left: &mut OperationOutcome, right: &mut OperationOutcome) {
    let relax = |status: &mut Status| {
        let whole = status.size % 4096 == 0 && status.blocks == status.size / 512;
        if status.mode.starts_with("10") && whole {
            (status.size, status.blocks) = (0, 0);
        }
    };
    for outcome in [left, right] {
        match outcome {
            OperationOutcome::Status(status) => relax(status),
            OperationOutcome::Tree(nodes) => {
                nodes.iter_mut().filter_map(|node| node.status.as_mut().ok()).for_each(relax);
            }
            _ => {}
        }
    }
}
