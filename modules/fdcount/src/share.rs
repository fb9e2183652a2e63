//! Sharing out what is left of limits. Numbers only.

use penfold_module::{Css, Tid};

/// A process, where it is, and the numbers of its open descriptors, ascending.
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

/// How many more descriptors each process may open: an even part of what each limit above it leaves, the smallest of
/// them. `None` for a process without a limit above it; nothing at all where a limit is exceeded by a process that does
/// not exist yet, whose task is 0.
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

/// The RLIMIT_NOFILE with which a process can open `share` descriptors more and not one beyond: the kernel compares
/// numbers, not counts, and gives out the lowest that is free.
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

    /// How many descriptors there are at most under a limit: those that fit below it and those beyond.
    fn reachable(open: &[u32], limit: u64) -> u64 {
        limit + open.iter().filter(|&&number| u64::from(number) >= limit).count() as u64
    }

    #[test]
    fn a_limit_leaves_exactly_the_share() {
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
