//! The table, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::overhead::runner::Times;
use crate::overhead::workload::Workload;

/// One line: a workload on some CPUs.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
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
    pub spread: [f64; 2],
    /// What one operation costs more, in microseconds, where the workload counts operations.
    pub per_operation_us: Option<f64>,
}

/// The value below which the share `part` of the values lies.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

impl Row {
    /// The line of a workload that was measured.
    pub fn new(workload: &Workload, cpus: usize, times: &Times) -> Row {
        let [bare, run, limited] = &times.seconds;
        let compare = |variant: &[f64]| Compared {
            ms: median(variant) * 1e3,
            ratio: median(variant) / median(bare),
            spread: [0.25, 0.75].map(|part| {
                let ratios: Vec<f64> = variant.iter().zip(bare).map(|(variant, bare)| variant / bare).collect();
                quantile(&ratios, part)
            }),
            per_operation_us: workload
                .operations
                .map(|operations| (median(variant) - median(bare)) * 1e6 / f64::from(operations)),
        };
        Row {
            workload: workload.name,
            cpus,
            rounds: bare.len(),
            bare_ms: median(bare) * 1e3,
            run: compare(run),
            limited: compare(limited),
            aim: workload.aim,
        }
    }
}

/// The table as text.
pub fn text(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<22}{:>5}{:>7}{:>10}{:>9}{:>15}{:>9}{:>9}{:>15}{:>9}{:>7}\n",
        "", "CPUs", "rounds", "bare ms", "run", "quartiles", "+us/op", "limited", "quartiles", "+us/op", "aim"
    );
    for row in rows {
        let _ = write!(text, "{:<22}{:>5}{:>7}{:>10.2}", row.workload, row.cpus, row.rounds, row.bare_ms);
        for compared in [&row.run, &row.limited] {
            let [lower, upper] = compared.spread;
            let spread = format!("{lower:.2}..{upper:.2}");
            let each = compared.per_operation_us.map_or_else(String::new, |us| format!("{us:.1}"));
            let _ = write!(text, "{:>9.3}{spread:>15}{each:>9}", compared.ratio);
        }
        let aim = row.aim.map_or_else(String::new, |aim| format!("{aim:.2}"));
        let _ = writeln!(text, "{aim:>7}");
    }
    for row in rows.iter().filter(|row| row.workload == "true") {
        let (run, limited) = (row.run.ms - row.bare_ms, row.limited.ms - row.bare_ms);
        let _ = writeln!(
            text,
            "start and end on {} CPUs: +{run:.2} ms, with a limit +{limited:.2} ms (aim 5)",
            row.cpus
        );
    }
    text
}
