//! The rows of `penfold top`, one for each cgroup.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Instant;

use penfold_server::protocol::{CgroupUsageInfo, LimitInfo, UsageCall};
use serde::Serialize;

use crate::address::{self, CgroupAddress};
use crate::engine_connection::EngineConnection;
use crate::failure::Failure;

/// The key by which rows are sorted, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SortKey {
    /// The number of tasks.
    Tasks,
    /// CPU use.
    Cpu,
    /// The used part of the cgroup's nearest limit.
    Limit,
    /// The address, from A to Z.
    Path,
}

/// The row of one cgroup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct UsageRow {
    pub(super) cgroup: String,
    pub(super) tasks: i64,
    pub(super) processes: i64,
    /// CPU use of the cgroup and those below since the last sample: 100 is one CPU. `None` without cpuacct or a sample.
    pub(super) cpu_percent: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) frozen: Option<bool>,
    /// The used part of the cgroup's nearest limit.
    pub(super) limit_percent: Option<f64>,
    pub(super) limits: Vec<LimitInfo>,
}

/// Takes samples of the daemon's counters, and makes rates of them.
pub(super) struct UsageSampler {
    remote: EngineConnection,
    addresses: Vec<CgroupAddress>,
    last: HashMap<String, (Instant, i64)>,
}

impl UsageSampler {
    pub(super) fn new(
        mut remote: EngineConnection,
        given: &[CgroupAddress],
    ) -> Result<UsageSampler, Failure> {
        let addresses = address::or_all_roots(&mut remote, given)?;
        Ok(UsageSampler { remote, addresses, last: HashMap::new() })
    }

    /// Takes a sample and returns a row for each cgroup. The rows of the first sample have no rates.
    pub(super) fn rows(&mut self) -> Result<Vec<UsageRow>, Failure> {
        let mut rows = Vec::new();
        let mut seen = HashMap::new();
        for address in &self.addresses {
            let call = UsageCall { cgroup: address.0.clone(), recursive: Some(true) };
            let usages = self.remote.call(&call)?.usages;
            let now = Instant::now();
            for usage in usages {
                let total = usage.user.and_then(|user| Some(user + usage.system?));
                let before = self.last.get(&usage.cgroup);
                let percent = total.zip(before).map(|(total, (then, before))| {
                    let seconds = now.duration_since(*then).as_secs_f64();
                    (total - before).max(0) as f64 / 1e9 / seconds.max(1e-6) * 100.0
                });
                seen.extend(total.map(|total| (usage.cgroup.clone(), (now, total))));
                rows.push(UsageRow::new(usage, percent, total));
            }
        }
        self.last = seen;
        Ok(rows)
    }
}

impl UsageRow {
    fn new(usage: CgroupUsageInfo, cpu_percent: Option<f64>, total: Option<i64>) -> UsageRow {
        UsageRow {
            cgroup: usage.cgroup,
            tasks: usage.tasks,
            processes: usage.processes,
            cpu_percent: cpu_percent.map(|percent| (percent * 10.0).round() / 10.0),
            cpu_seconds: total.map(|total| total as f64 / 1e9),
            frozen: usage.frozen,
            limit_percent: usage.limits.iter().filter_map(used_percent).max_by(f64::total_cmp),
            limits: usage.limits,
        }
    }

    /// The texts of the columns.
    pub(super) fn cells(&self) -> [String; 8] {
        let dash = || "-".to_owned();
        let nearest = self.limits.iter().max_by(|one, other| {
            used_percent(one).unwrap_or(-1.0).total_cmp(&used_percent(other).unwrap_or(-1.0))
        });
        let limit = nearest.and_then(|limit| Some(format!("{} {}/{}", limit.file, limit.used, limit.limit?)));
        let refused: i64 = self.limits.iter().map(|limit| limit.failures).sum();
        [
            self.tasks.to_string(),
            self.processes.to_string(),
            self.cpu_percent.map_or_else(dash, |percent| format!("{percent:.1}")),
            self.cpu_seconds.map_or_else(dash, |seconds| format!("{seconds:.2}")),
            (if self.frozen == Some(true) { "frozen" } else { "" }).to_owned(),
            limit.unwrap_or_else(dash),
            refused.to_string(),
            self.cgroup.clone(),
        ]
    }
}

fn used_percent(limit: &LimitInfo) -> Option<f64> {
    let most = limit.limit?;
    Some(limit.used as f64 / (most.max(1)) as f64 * 100.0)
}

/// Sorts rows by a key, and rows with the same key by address.
pub(super) fn sort(rows: &mut [UsageRow], order: SortKey, reverse: bool) {
    let value = |number: Option<f64>| number.unwrap_or(-1.0);
    rows.sort_by(|one, other| {
        let first = match order {
            SortKey::Tasks => other.tasks.cmp(&one.tasks),
            SortKey::Cpu => value(other.cpu_percent).total_cmp(&value(one.cpu_percent)),
            SortKey::Limit => value(other.limit_percent).total_cmp(&value(one.limit_percent)),
            SortKey::Path => Ordering::Equal,
        };
        let whole = first.then_with(|| one.cgroup.cmp(&other.cgroup));
        if reverse { whole.reverse() } else { whole }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cgroup: &str, tasks: i64, cpu: f64, used: i64) -> UsageRow {
        let limits = vec![LimitInfo { file: "pids.max".into(), limit: Some(10), used, peak: 9, failures: 2 }];
        let usage = CgroupUsageInfo { cgroup: cgroup.into(), tasks, limits, ..CgroupUsageInfo::default() };
        UsageRow::new(usage, Some(cpu), Some(1_500_000_000))
    }

    #[test]
    fn rows_are_sorted_by_each_column_and_back() {
        let mut rows = vec![row("1:/a", 3, 5.0, 1), row("1:/b", 1, 9.0, 2), row("1:/c", 2, 5.0, 9)];
        let mut names = |order, reverse| {
            sort(&mut rows, order, reverse);
            rows.iter().map(|row| row.cgroup[3..].to_owned()).collect::<String>()
        };
        assert_eq!(names(SortKey::Tasks, false), "acb");
        assert_eq!(names(SortKey::Cpu, false), "bac");
        assert_eq!(names(SortKey::Limit, false), "cba");
        assert_eq!(names(SortKey::Path, false), "abc");
        assert_eq!(names(SortKey::Path, true), "cba");
    }

    #[test]
    fn a_row_shows_its_nearest_limit() {
        let cells = row("1:/a", 3, 12.34, 7).cells();
        assert_eq!(cells, ["3", "0", "12.3", "1.50", "", "pids.max 7/10", "2", "1:/a"].map(String::from));
        let none =
            UsageRow::new(CgroupUsageInfo { cgroup: "1:/".into(), ..CgroupUsageInfo::default() }, None, None);
        assert_eq!(none.cells(), ["0", "0", "-", "-", "", "-", "0", "1:/"].map(String::from));
    }
}
