//! Makes outcomes comparable: numbers of processes become names, and parts that can't be the same are left out.

use super::byte_string::ByteString;
use super::outcome::{OperationOutcome, TreeNode};
use super::setup::MARKS;
use std::collections::HashMap;

/// Facts about a side that the comparison of an outcome needs.
#[derive(Debug)]
pub(super) struct SideFacts {
    /// Names of process numbers.
    pub(super) names: HashMap<i32, String>,
    /// Whether the list of the root has processes of other programs.
    pub(super) shared: bool,
    /// Whether parts of lists can't be compared: a part may be of an earlier time, or process numbers may have
    /// other lengths.
    pub(super) stale: bool,
    /// Whether amounts of CPU time are left out.
    pub(super) times: bool,
    /// Whether the step was a read from, or a seek in, a file that was open already.
    pub(super) part_of_file: bool,
}

impl SideFacts {
    /// The outcome with names instead of numbers.
    pub(super) fn normalise(&self, outcome: OperationOutcome) -> OperationOutcome {
        match outcome {
            OperationOutcome::Members { pieces, root } => self.members(&pieces, root && self.shared),
            OperationOutcome::MembersPart { bytes, root } => self.part(bytes.0.len(), root && self.shared),
            OperationOutcome::MembersOffset { offset, root } => {
                self.part(offset as usize, root && self.shared)
            }
            OperationOutcome::Bytes(_) | OperationOutcome::Count(_) if self.times && self.part_of_file => {
                OperationOutcome::Done
            }
            OperationOutcome::Bytes(mut pieces) if !self.times => {
                let bytes = pieces.iter_mut().flat_map(|piece| &mut piece.0);
                bytes.filter(|byte| **byte == MARKS[1] as u8).for_each(|byte| *byte = MARKS[0] as u8);
                OperationOutcome::Bytes(pieces)
            }
            OperationOutcome::Bytes(pieces) => OperationOutcome::Bytes(vec![without_times(&pieces)]),
            OperationOutcome::Tree(nodes) => {
                OperationOutcome::Tree(nodes.into_iter().map(|node| self.node(node)).collect())
            }
            other => other,
        }
    }

    fn node(&self, node: TreeNode) -> TreeNode {
        let named = |text: &[u8]| node.path.0.ends_with(text);
        let content = match *node.content {
            OperationOutcome::Bytes(pieces) if self.times && !named(b"release") && !named(b"children") => {
                OperationOutcome::Bytes(vec![without_times(&pieces)])
            }
            other => self.normalise(other),
        };
        TreeNode { content: Box::new(content), ..node }
    }

    fn members(&self, pieces: &[ByteString], shared: bool) -> OperationOutcome {
        let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.0.clone()).collect();
        let text = String::from_utf8_lossy(&whole);
        let numbers: Vec<i32> = text.lines().map(|line| line.parse().unwrap_or(-1)).collect();
        let ordered = numbers.is_sorted() && (whole.is_empty() || whole.ends_with(b"\n"));
        let mut names: Vec<String> = numbers
            .iter()
            .filter_map(|number| match self.names.get(number) {
                Some(name) => Some(name.clone()),
                None => (!shared).then(|| "?".to_owned()),
            })
            .collect();
        names.sort();
        let lengths = if shared { vec![] } else { pieces.iter().map(|piece| piece.0.len()).collect() };
        OperationOutcome::Names { names, ordered, lengths }
    }

    fn part(&self, bytes: usize, shared: bool) -> OperationOutcome {
        if self.stale || shared {
            return OperationOutcome::Names {
                names: vec!["(a list of earlier)".into()],
                ordered: true,
                lengths: vec![],
            };
        }
        OperationOutcome::Names { names: vec![format!("({bytes} bytes)")], ordered: true, lengths: vec![] }
    }
}

/// The text with `N` for each number.
fn without_times(pieces: &[ByteString]) -> ByteString {
    let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.0.clone()).collect();
    let mut out = Vec::new();
    for byte in whole {
        let byte = if byte.is_ascii_digit() { b'N' } else { byte };
        if byte != b'N' || out.last() != Some(&b'N') {
            out.push(byte);
        }
    }
    ByteString(out)
}

/// Whether two outcomes agree. Lengths of lists of process numbers count only if the numbers have equal digits in
/// total.
pub(super) fn agree(left: &OperationOutcome, right: &OperationOutcome) -> bool {
    match (left, right) {
        (
            OperationOutcome::Names { names: l, ordered: lo, lengths: ll },
            OperationOutcome::Names { names: r, ordered: ro, lengths: rl },
        ) => {
            let same_digits = ll.iter().sum::<usize>() == rl.iter().sum::<usize>();
            l == r && lo == ro && (ll == rl || !same_digits)
        }
        (OperationOutcome::Tree(left), OperationOutcome::Tree(right)) => {
            first_difference(left, right).is_none()
        }
        _ => left == right,
    }
}

/// The first nodes in which two trees differ.
pub(super) fn first_difference<'a>(
    left: &'a [TreeNode],
    right: &'a [TreeNode],
) -> Option<(Option<&'a TreeNode>, Option<&'a TreeNode>)> {
    let same = |l: &TreeNode, r: &TreeNode| {
        l.path == r.path && l.status == r.status && agree(&l.content, &r.content)
    };
    let at = left.iter().zip(right).position(|(l, r)| !same(l, r));
    let at = at.or_else(|| (left.len() != right.len()).then(|| left.len().min(right.len())))?;
    Some((left.get(at), right.get(at)))
}
