//! What `penfold top` shows of each cgroup.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Instant;

use penfold_server::protocol::{CgroupUsageInfo, LimitInfo, UsageCall};
use serde::Serialize;

use crate::address::{self, CgroupAddress};
use crate::failure::Failure;
use crate::remote::Remote;

/// By what the rows are sorted, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Order {
    /// How many tasks.
    Tasks,
    /// CPU use.
    Cpu,
    /// How much of its nearest limit is used.
    Limit,
    /// The address, from A to Z.
    Path,
}

/// A cgroup as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) cgroup: String,
    pub(super) tasks: i64,
    pub(super) processes: i64,
    /// 100 is one CPU; of the cgroup and those below.
    pub(super) cpu_percent: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) frozen: Option<bool>,
    /// How much of its nearest limit is used.
    pub(super) limit_percent: Option<f64>,
    pub(super) limits: Vec<LimitInfo>,
}

/// Asks the daemon again and again, and makes rates of what it says.
pub(super) struct Sampler {
    remote: Remote,
    addresses: Vec<CgroupAddress>,
    last: HashMap<String, (Instant, i64)>,
}

impl Sampler {
    pub(super) fn new(mut remote: Remote, given: &[CgroupAddress]) -> Result<Sampler, Failure> {
        let addresses = address::or_all(&mut remote, given)?;
        Ok(Sampler { remote, addresses, last: HashMap::new() })
    }

    /// The cgroups as they are now. The first time there are no rates.
    pub(super) fn rows(&mut self) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        let mut seen = HashMap::new();
        for address in &self.addresses {
            let call = UsageCall { cgroup: address.0.clone(), recursive: Some(true) };
            let usages = self.remote.call(&call).map_err(|failure| failure.of(address))?.usages;
            let now = Instant::now();
            for usage in usages {
                let total = usage.user.and_then(|user| Some(user + usage.system?));
                let before = self.last.get(&usage.cgroup);
                let percent = total.zip(before).map(|(total, (then, before))| {
                    let seconds = now.duration_since(*then).as_secs_f64();
                    (total - before).max(0) as f64 / 1e9 / seconds.max(1e-6) * 100.0
                });
                seen.extend(total.map(|total| (usage.cgroup.clone(), (now, total))));
                rows.push(Row::new(usage, percent, total));
            }
        }
        self.last = seen;
        Ok(rows)
    }
}

impl Row {
    fn new(usage: CgroupUsageInfo, cpu_percent: Option<f64>, total: Option<i64>) -> Row {
        Row {
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

    /// What the columns show.
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

/// Sorts, equal ones by address.
pub(super) fn sort(rows: &mut [Row], order: Order, reverse: bool) {
    let value = |number: Option<f64>| number.unwrap_or(-1.0);
    rows.sort_by(|one, other| {
        let first = match order {
            Order::Tasks => other.tasks.cmp(&one.tasks),
            Order::Cpu => value(other.cpu_percent).total_cmp(&value(one.cpu_percent)),
            Order::Limit => value(other.limit_percent).total_cmp(&value(one.limit_percent)),
            Order::Path => Ordering::Equal,
        };
        let whole = first.then_with(|| one.cgroup.cmp(&other.cgroup));
        if reverse { whole.reverse() } else { whole }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cgroup: &str, tasks: i64, cpu: f64, used: i64) -> Row {
        let limits = vec![LimitInfo { file: "pids.max".into(), limit: Some(10), used, peak: 9, failures: 2 }];
        let usage = CgroupUsageInfo { cgroup: cgroup.into(), tasks, limits, ..CgroupUsageInfo::default() };
        Row::new(usage, Some(cpu), Some(1_500_000_000))
    }

    #[test]
    fn rows_are_sorted_by_each_column_and_back() {
        let mut rows = vec![row("1:/a", 3, 5.0, 1), row("1:/b", 1, 9.0, 2), row("1:/c", 2, 5.0, 9)];
        let mut names = |order, reverse| {
            sort(&mut rows, order, reverse);
            rows.iter().map(|row| row.cgroup[3..].to_owned()).collect::<String>()
        };
        assert_eq!(names(Order::Tasks, false), "acb");
        assert_eq!(names(Order::Cpu, false), "bac");
        assert_eq!(names(Order::Limit, false), "cba");
        assert_eq!(names(Order::Path, false), "abc");
        assert_eq!(names(Order::Path, true), "cba");
    }

    #[test]
    fn a_row_shows_its_nearest_limit() {
        let cells = row("1:/a", 3, 12.34, 7).cells();
        assert_eq!(cells, ["3", "0", "12.3", "1.50", "", "pids.max 7/10", "2", "1:/a"].map(String::from));
        let none =
            Row::new(CgroupUsageInfo { cgroup: "1:/".into(), ..CgroupUsageInfo::default() }, None, None);
        assert_eq!(none.cells(), ["0", "0", "-", "-", "", "-", "0", "1:/"].map(String::from));
    }
}
