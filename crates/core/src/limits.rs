//! The limits of a cgroup, and how near its usage is to each.

use alloc::string::String;
use alloc::vec::Vec;

use crate::counter::UNLIMITED;
use crate::engine::Engine;
use crate::ids::CgroupId;

/// One limit of a cgroup, set or not, with its usage: the answer of [`Engine::limits`].
///
/// A limit is that of a charge rule, or a subsystem's own, by which its `can_fork` refuses. Core does not know the
/// value and the usage of the second kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitState {
    /// The control file that sets the limit, such as `pids.max`. For a subsystem's own limit without a declared file:
    /// the subsystem's name.
    pub file: String,
    /// The limit; `None` if it is not set, and for a subsystem's own, which only the control file shows.
    pub limit: Option<u64>,
    /// The amount charged now, descendants included; 0 for a subsystem's own.
    pub used: u64,
    /// The highest amount that was charged at one time; 0 for a subsystem's own.
    pub peak: u64,
    /// The number of charges or forks that this limit has refused.
    pub failures: u64,
}

impl Engine {
    /// The limits of a cgroup in the order of the slots.
    ///
    /// Listed are the rules that name a control file for their limit. A subsystem's own limit is listed once its
    /// `can_fork` has refused a fork in the cgroup. The list of a removed cgroup is empty, and that of a root, which
    /// has no files of limits.
    pub fn limits(&self, cgroup: CgroupId) -> Vec<LimitState> {
        let mut limits = Vec::new();
        let Some(node) = self.tree.get(cgroup).filter(|node| node.parent.is_some()) else { return limits };
        for (slot, css) in node.all_css() {
            let loaded = self.slot(slot);
            for (rule, declared) in loaded.rules.iter().enumerate() {
                if declared.limit_file.is_empty() {
                    continue;
                }
                let counter = &loaded.counters[css.0 as usize * loaded.rules.len() + rule];
                limits.push(LimitState {
                    file: loaded.limit_file(&declared.limit_file),
                    limit: Some(counter.limit).filter(|&limit| limit != UNLIMITED),
                    used: counter.usage,
                    peak: counter.peak,
                    failures: counter.failures,
                });
            }
            let failures = loaded.css[css.0 as usize].refused;
            if failures > 0 {
                let file = loaded.limit_file(&loaded.refusal_file);
                limits.push(LimitState { file, limit: None, used: 0, peak: 0, failures });
            }
        }
        limits
    }
}
