//! The values of one moment, as OpenMetrics text.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use nix::errno::Errno;
use penfold_core::{CgroupId, Engine, ErrorKind, tree::ChildCursor};
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
use crate::slices::{Counts, Slice};

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
    let series = collect(service)?;
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

/// The parents whose children come next, the hierarchy's label, and whether the parent has series of its own.
type ParentQueue = VecDeque<(ChildCursor, Arc<str>, bool)>;

/// Collects in slices, so the values of many cgroups are of different moments.
fn collect(service: &Service) -> Result<Series, Failure> {
    let series = Series::default();
    let mut parents: Option<ParentQueue> = None;
    let (mut shown, mut bytes) = (0, 0);
    service.in_slices(Counts::Exact, |engine, host| {
        let parents = parents.get_or_insert_with(|| {
            engine.sample_cpu(host);
            series.begin(engine, &mut shown)
        });
        let mut slice = Slice::begin();
        // Breadth first, so that cgroups nearest to the roots come first. A cgroup below one that is left out comes
        // later, and is left out too.
        while let Some((children, hierarchy, parent_shown)) = parents.front_mut() {
            if !slice.step() {
                return Ok(true);
            }
            let Some(at) = children.next(engine.tree()) else {
                parents.pop_front();
                continue;
            };
            let (hierarchy, parent_shown) = (Arc::clone(hierarchy), *parent_shown);
            let length = if shown < SHOWN { escape(&engine.tree().path(at)).len() } else { 0 };
            let own = shown < SHOWN && bytes + length <= SHOWN_BYTES;
            // after the first that is left out, so are all: a parent comes before its children
            (shown, bytes) = if own { (shown + 1, bytes + length) } else { (SHOWN, bytes) };
            if !own {
                series.left_out.inc();
            }
            series.add(engine, at, &hierarchy, own, own || parent_shown);
            parents.push_back((ChildCursor::new(at), hierarchy, own));
        }
        Ok(false)
    })?;
    Ok(series)
}

/// The label of a hierarchy: its name, or its subsystems. Unlike its number, it is the same after the next start.
fn label(engine: &Engine, root: CgroupId) -> String {
    let name = &engine.tree().hierarchy_of(root).name;
    if name.is_empty() { engine.subsystems_of(root).collect::<Vec<_>>().join(",") } else { name.clone() }
}

impl Series {
    /// Adds the roots of all hierarchies.
    fn begin(&self, engine: &Engine, shown: &mut usize) -> ParentQueue {
        let mut parents = ParentQueue::new();
        for hierarchy in engine.tree().hierarchies() {
            let label: Arc<str> = label(engine, hierarchy.root).into();
            self.cgroups
                .get_or_create(&HierarchyLabels { hierarchy: label.to_string() })
                .set(hierarchy.cgroups as i64);
            *shown += 1;
            self.add(engine, hierarchy.root, &label, true, true);
            parents.push_back((ChildCursor::new(hierarchy.root), label, true));
        }
        parents
    }

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
