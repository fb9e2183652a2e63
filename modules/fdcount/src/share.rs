//! Shares the rest of limits out among processes. Pure numbers.

use penfold_module::{Css, Tid};

/// A process, its css, and the numbers of its open descriptors, ascending.
#[derive(Debug, Clone)]
pub(crate) struct DescriptorHolder {
    pub(crate) task: Tid,
    pub(crate) css: Css,
    pub(crate) open: Vec<u32>,
}

impl DescriptorHolder {
    pub(crate) fn count(&self) -> u64 {
        self.open.len() as u64
    }
}

/// The number of descriptors that each process may open in addition. Each limit above a process gives it an even part
/// of the limit's rest; the smallest part counts. `None` for a process without a limit above it.
///
/// A process whose task is 0 does not exist yet. The result is `None` if such a process exceeds a limit.
pub(crate) fn shares(
    processes: &[&DescriptorHolder],
    limits: &[(Css, u64)],
    below: impl Fn(Css, &DescriptorHolder) -> bool,
) -> Option<Vec<Option<u64>>> {
    let mut shares = vec![None; processes.len()];
    for &(css, max) in limits {
        let members: Vec<usize> = (0..processes.len()).filter(|&at| below(css, processes[at])).collect();
        let used: u64 = members.iter().map(|&at| processes[at].count()).sum();
        if used > max && members.iter().any(|&at| processes[at].task == Tid(0)) {
            return None;
        }
        let Some(share) = max.saturating_sub(used).checked_div(members.len() as u64) else { continue };
        for at in members {
            shares[at] = Some(shares[at].map_or(share, |other: u64| other.min(share)));
        }
    }
    Some(shares)
}

/// The RLIMIT_NOFILE with which a process can open exactly `share` descriptors more. The kernel compares numbers, not
/// counts, and gives out the lowest number that is free.
pub(crate) fn limit_for(open: &[u32], share: u64) -> u64 {
    let (mut free, mut next) = (0, 0);
    for &number in open {
        let gap = u64::from(number) - next;
        if free + gap > share {
            break;
        }
        free += gap;
        next = u64::from(number) + 1;
    }
    next + (share - free)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The highest number of descriptors under a limit: those below the limit, and the open ones beyond it.
    fn reachable(open: &[u32], limit: u64) -> u64 {
        limit + open.iter().filter(|&&number| u64::from(number) >= limit).count() as u64
    }

    #[test]
    fn limit_leaves_exactly_the_share() {
        let tables: [&[u32]; 6] =
            [&[], &[0, 1, 2], &[0, 1, 2, 255], &[3, 5, 7], &[100], &[0, 2, 4, 6, 1000, 1001]];
        for open in tables {
            for share in 0..400 {
                let limit = limit_for(open, share);
                assert_eq!(
                    reachable(open, limit),
                    open.len() as u64 + share,
                    "{open:?} and {share}: {limit}"
                );
            }
        }
    }
}
