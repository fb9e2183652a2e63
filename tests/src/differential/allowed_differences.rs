//! The one list of allowed differences between the kernel and penfold. Each has its number in docs/differences.md.
//!
//! Some differences need no entry. The comparison does not look at these, nor between two hierarchies of the kernel:
//!
//! * L12, the order of listings;
//! * L13, lists read twice from one open file;
//! * L14, the time at which a release agent runs;
//! * L16 and L34, amounts of CPU time;
//! * L33, the letter of a frozen task's state.
//!
//! The steps avoid these:
//!
//! * L94, seeks from the end and offsets of directories: there are no such seeks;
//! * L32, the death of frozen threads: no process with a frozen thread ends or executes;
//! * L1, charges of zombies, by which other forks would be refused: where it matters, every zombie is reaped at once.

use super::operation::{FileCall, SideOperation};
use super::outcome::{OperationOutcome, Status};

/// An intended difference.
#[derive(Debug)]
pub struct AllowedDifference {
    /// The number in docs/differences.md.
    pub number: &'static str,
    /// Removes the allowed difference from the outcomes of both sides, the kernel's first.
    pub relax: fn(&SideOperation, &mut OperationOutcome, &mut OperationOutcome),
}

/// The list for two hierarchies of the kernel, between which nothing may differ.
pub const NOTHING: &[AllowedDifference] = &[];

/// The list for the kernel and penfold.
pub const MEANT: &[AllowedDifference] = &[
    AllowedDifference { number: "L10", relax: errors_of_text_that_is_not_utf8 },
    AllowedDifference { number: "L51", relax: sizes },
    AllowedDifference { number: "L52", relax: seeks_where_nothing_is },
    AllowedDifference { number: "L93", relax: positioned_writes_to_what_is_read_only },
];

/// Both refuse text that is not UTF-8, penfold for that reason.
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

/// A positioned write to a file that is open for reading only is `EBADF`, on the kernel `ESPIPE`.
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

/// Files have the size of the most blocks that their content can need; the kernel shows 0.
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
