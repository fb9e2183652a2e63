//! The values of one moment, as OpenMetrics text.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64};

use nix::errno::Errno;
use penfold_core::{CgroupId, Engine, ErrorKind, host::Host};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::escape::escape;
use crate::failure::Failure;
use crate::service::Service;

/// How many cgroups have series of their own. A scrape stays bounded, however many cgroups there are.
pub const SHOWN: usize = 1000;
/// The most bytes of the paths of these cgroups. Each path is in several series.
const SHOWN_BYTES: usize = 256 << 10;
/// The path label of the sums over all other cgroups.
const OTHERS: &str = "…";
const NANOSECONDS: f64 = 1e9;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HierarchyLabels {
    hierarchy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CgroupLabels {
    hierarchy: String,
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CpuLabels {
    hierarchy: String,
    path: String,
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    hierarchy: String,
    path: String,
    file: String,
}

type Gauges<L> = Family<L, Gauge<i64, AtomicI64>>;

/// All series of one scrape.
#[derive(Default)]
struct Series {
    cgroups: Gauges<HierarchyLabels>,
    tasks: Gauges<CgroupLabels>,
    cpu: Family<CpuLabels, Counter<f64, AtomicU64>>,
    limit: Gauges<LimitLabels>,
    used: Gauges<LimitLabels>,
    peak: Gauges<LimitLabels>,
    refusals: Family<LimitLabels, Counter>,
    left_out: Gauge<i64, AtomicI64>,
}

/// The OpenMetrics text of this moment.
///
/// # Errors
/// `ESHUTDOWN` when the daemon is ending.
pub fn scrape(service: &Service) -> Result<String, Failure> {
    let series = service.with_exact(collect)?;
    let mut registry = Registry::with_prefix("penfold");
    let facts =
        vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("pid", std::process::id().to_string())];
    registry.register("daemon", "The daemon", Info::new(facts));
    registry.register("cgroups", "Cgroups of a hierarchy, the root included", series.cgroups);
    registry.register("tasks", "Supervised tasks that are members of the cgroup itself", series.tasks);
    registry.register_with_unit("cpu", "CPU time used, with the cgroups below", Unit::Seconds, series.cpu);
    registry.register("limit", "The limit that a control file sets", series.limit);
    registry.register("used", "The amount counted against a limit, with the cgroups below", series.used);
    registry.register("peak", "The most that was ever counted against a limit", series.peak);
    registry.register("refusals", "How often a limit has refused", series.refusals);
    registry.register("cgroups_left_out", "Cgroups without series of their own", series.left_out);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| {
        Failure::new(ErrorKind::System, Errno::EIO, "metrics", error.to_string()).caused_by(error)
    })?;
    Ok(text)
}

fn collect(engine: &mut Engine, host: &mut dyn Host) -> Series {
    engine.sample_cpu(host);
    let series = Series::default();
    let mut queue: VecDeque<(CgroupId, String, bool)> = VecDeque::new();
    for hierarchy in engine.tree().hierarchies() {
        let label = label(engine, hierarchy.root);
        series
            .cgroups
            .get_or_create(&HierarchyLabels { hierarchy: label.clone() })
            .set(hierarchy.cgroups as i64);
        queue.push_back((hierarchy.root, label, true));
    }
    let (mut shown, mut bytes) = (0, 0);
    // Breadth first, so that cgroups nearest to the roots come first. A cgroup below one that is left out comes later,
    // and is left out too.
    while let Some((at, hierarchy, parent_shown)) = queue.pop_front() {
        let length = if shown < SHOWN { escape(&engine.tree().path(at)).len() } else { 0 };
        let own = shown < SHOWN && bytes + length <= SHOWN_BYTES;
        // after the first that is left out, so are all: a parent comes before its children
        (shown, bytes) = if own { (shown + 1, bytes + length) } else { (SHOWN, bytes) };
        if !own {
            series.left_out.inc();
        }
        series.add(engine, at, &hierarchy, own, own || parent_shown);
        queue.extend(engine.tree().children(at).map(|child| (child, hierarchy.clone(), own)));
    }
    series
}

/// The label of a hierarchy: its name, or its subsystems. Unlike its number, it is the same after the next start.
fn label(engine: &Engine, root: CgroupId) -> String {
    let name = &engine.tree().hierarchy_of(root).name;
    if name.is_empty() { engine.subsystems_of(root).collect::<Vec<_>>().join(",") } else { name.clone() }
}

impl Series {
    /// Adds a cgroup: to its own series, or to the sums over all others. An amount that includes the cgroups below is
    /// added to a sum only at the `top` of a subtree that is left out.
    fn add(&self, engine: &Engine, at: CgroupId, hierarchy: &str, own: bool, top: bool) {
        let path = if own { escape(&engine.tree().path(at)) } else { OTHERS.to_owned() };
        let hierarchy = hierarchy.to_owned();
        let tasks = i64::try_from(engine.tree().task_count(at)).unwrap_or(i64::MAX);
        self.tasks
            .get_or_create(&CgroupLabels { hierarchy: hierarchy.clone(), path: path.clone() })
            .inc_by(tasks);
        if let Some(time) = engine.cpu_usage(at).filter(|_| top) {
            for (mode, nanoseconds) in [("user", time.user), ("system", time.system)] {
                let labels = CpuLabels { hierarchy: hierarchy.clone(), path: path.clone(), mode };
                self.cpu.get_or_create(&labels).inc_by(nanoseconds as f64 / NANOSECONDS);
            }
        }
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for limit in engine.limits(at) {
            let labels = LimitLabels { hierarchy: hierarchy.clone(), path: path.clone(), file: limit.file };
            self.refusals.get_or_create(&labels).inc_by(limit.failures);
            if top {
                self.used.get_or_create(&labels).inc_by(signed(limit.used));
            }
            // peaks and limits can't be summed
            if own {
                self.peak.get_or_create(&labels).set(signed(limit.peak));
                if let Some(limit) = limit.limit {
                    self.limit.get_or_create(&labels).set(signed(limit));
                }
            }
        }
    }
}
