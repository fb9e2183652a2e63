//! The table, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::overhead::runner::{Time, WorkloadTimes};
use crate::overhead::workload::Workload;

/// One line: a workload on some CPUs.
#[derive(Debug, Clone, Serialize)]
pub struct OverheadRow {
    /// The workload.
    pub workload: &'static str,
    /// On how many CPUs.
    pub cpus: usize,
    /// How many rounds the medians are of.
    pub rounds: usize,
    /// The bare command, median, in milliseconds.
    pub bare_ms: f64,
    /// `penfold run`.
    pub run: Compared,
    /// `penfold run -s pids.max=10000`.
    pub limited: Compared,
    /// The ratio aimed at.
    pub aim: Option<f64>,
}

/// One variant compared with the bare command.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Median, in milliseconds.
    pub ms: f64,
    /// Ratio of the medians.
    pub ratio: f64,
    /// The lower and upper quartile of the ratios within a round.
    pub quartiles: [f64; 2],
    /// Ratio of the fastest runs: on a busy machine it says more than the medians.
    pub fastest: f64,
    /// Ratio of the CPU times, medians.
    pub cpu: f64,
    /// The extra cost of one operation in the fastest runs, in microseconds, where the workload counts operations.
    pub per_operation_us: Option<f64>,
}

impl Compared {
    fn new(variant: &[Time], bare: &[Time], operations: Option<u32>) -> Compared {
        let wall = |times: &[Time]| times.iter().map(|time| time.wall).collect::<Vec<_>>();
        let cpu = |times: &[Time]| times.iter().map(|time| time.cpu).collect::<Vec<_>>();
        let of = |part| quantile(&wall(variant), part) / quantile(&wall(bare), part);
        let rounds: Vec<f64> =
            wall(variant).iter().zip(wall(bare)).map(|(variant, bare)| variant / bare).collect();
        let more = quantile(&wall(variant), 0.0) - quantile(&wall(bare), 0.0);
        Compared {
            ms: median(&wall(variant)) * 1e3,
            ratio: of(0.5),
            quartiles: [0.25, 0.75].map(|part| quantile(&rounds, part)),
            fastest: of(0.0),
            cpu: median(&cpu(variant)) / median(&cpu(bare)),
            per_operation_us: operations.map(|operations| more * 1e6 / f64::from(operations)),
        }
    }
}

/// The value below which the share `part` of the values lies.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

impl OverheadRow {
    /// The line of a workload that was measured.
    pub fn new(workload: &Workload, cpus: usize, times: &WorkloadTimes) -> OverheadRow {
        let [bare, run, limited] = &times.variants;
        let walls: Vec<f64> = bare.iter().map(|time| time.wall).collect();
        OverheadRow {
            workload: workload.name,
            cpus,
            rounds: bare.len(),
            bare_ms: median(&walls) * 1e3,
            run: Compared::new(run, bare, workload.operations),
            limited: Compared::new(limited, bare, workload.operations),
            aim: workload.aim,
        }
    }
}

/// The table as text: two lines for each workload and number of CPUs.
pub fn text(rows: &[OverheadRow]) -> String {
    let mut text = format!(
        "{:<20}{:>4}{:>7}{:>9}  {:<8}{:>7}{:>13}{:>9}{:>7}{:>8}{:>6}\n",
        "", "CPUs", "rounds", "bare ms", "", "ratio", "quartiles", "fastest", "cpu", "+us/op", "aim"
    );
    for row in rows {
        for (variant, compared) in [("run", &row.run), ("limited", &row.limited)] {
            let OverheadRow { workload, cpus, rounds, bare_ms, .. } = row;
            let _ = write!(text, "{workload:<20}{cpus:>4}{rounds:>7}{bare_ms:>9.2}  {variant:<8}");
            text.push_str(&compared_text(compared));
            let aim = row.aim.map_or_else(String::new, |aim| format!("{aim:>6.2}"));
            let _ = writeln!(text, "{aim}");
        }
    }
    for row in rows.iter().filter(|row| row.workload == "true") {
        let (run, limited) = (row.run.ms - row.bare_ms, row.limited.ms - row.bare_ms);
        let _ = writeln!(
            text,
            "start and end, {} CPUs: +{run:.2} ms, with a limit +{limited:.2} ms (aim 5)",
            row.cpus
        );
    }
    text
}

fn compared_text(compared: &Compared) -> String {
    let Compared { ratio, quartiles: [lower, upper], fastest, cpu, .. } = compared;
    let quartiles = format!("{lower:.2}..{upper:.2}");
    let each = compared.per_operation_us.map_or_else(String::new, |us| format!("{us:.1}"));
    format!("{ratio:>7.3}{quartiles:>13}{fastest:>9.3}{cpu:>7.3}{each:>8}")
}
