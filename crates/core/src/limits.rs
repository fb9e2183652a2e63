//! What limits a cgroup has, and how near it is to them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::counter::UNLIMITED;
use crate::engine::Engine;
use crate::ids::CgroupId;

/// A limit of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitState {
    /// The control file that sets it, such as `pids.max`.
    pub file: String,
    /// The limit; `None` for none, and for a subsystem's own, which only the file tells.
    pub limit: Option<u64>,
    /// What is charged now, descendants included; 0 for a subsystem's own.
    pub used: u64,
    /// The highest charge ever seen.
    pub peak: u64,
    /// How often this limit has refused.
    pub failures: u64,
}

impl Engine {
    /// The limits that can be set in a cgroup, in the order of the slots, and those by which a subsystem's own `can_fork`
    /// has refused forks in it. Empty for a removed cgroup; a root has no files of limits, so it has none.
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
