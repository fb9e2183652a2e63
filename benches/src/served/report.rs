//! The table, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::overhead::report::quantile;

/// One line: an operation.
#[derive(Debug, Clone, Serialize)]
pub struct ServedRow {
    /// The name of the operation.
    pub operation: String,
    /// How often in each way.
    pub times: usize,
    /// On the kernel's cgroup v1.
    pub kernel: Figure,
    /// Through the file view.
    pub fuse: Figure,
    /// Through the control socket.
    pub socket: Figure,
    /// The ratio aimed at through the file view.
    pub fuse_aim: Option<f64>,
    /// The ratio aimed at through the socket.
    pub socket_aim: Option<f64>,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figure {
    /// Median.
    pub median: f64,
    /// The fastest.
    pub fastest: f64,
}

impl ServedRow {
    /// The line of one part of an operation.
    pub fn new<const PARTS: usize>(
        operation: &str,
        times: &[Vec<[f64; PARTS]>; 3],
        part: usize,
    ) -> ServedRow {
        let [kernel, fuse, socket] = times.each_ref().map(|times| {
            let part: Vec<f64> = times.iter().map(|parts| parts[part]).collect();
            Figure { median: quantile(&part, 0.5), fastest: quantile(&part, 0.0) }
        });
        let times = times[0].len();
        ServedRow {
            operation: operation.to_owned(),
            times,
            kernel,
            fuse,
            socket,
            fuse_aim: None,
            socket_aim: None,
        }
    }

    /// The same line with the ratios that are aimed at.
    pub fn aimed(self, fuse_aim: Option<f64>, socket_aim: Option<f64>) -> ServedRow {
        ServedRow { fuse_aim, socket_aim, ..self }
    }
}

/// The table as text, with its title above.
pub fn text(title: &str, rows: &[ServedRow]) -> String {
    let mut text = format!("{title}\n{:<27}{:>6}{:>10}{:>9}", "", "times", "kernel us", "fastest");
    for way in ["FUSE us", "socket us"] {
        let _ = write!(text, "{way:>11}{:>9}{:>8}{:>8}{:>7}", "fastest", "ratio", "fastest", "aim");
    }
    text.push('\n');
    for row in rows {
        let ServedRow { operation, times, kernel, .. } = row;
        let _ = write!(text, "{operation:<27}{times:>6}{:>10.1}{:>9.1}", kernel.median, kernel.fastest);
        for (figure, aim) in [(row.fuse, row.fuse_aim), (row.socket, row.socket_aim)] {
            let ratios = [figure.median / kernel.median, figure.fastest / kernel.fastest];
            let [ratio, fastest] = ratios.map(short);
            let aim = aim.map_or_else(String::new, short);
            let _ =
                write!(text, "{:>11.1}{:>9.1}{ratio:>8}{fastest:>8}{aim:>7}", figure.median, figure.fastest);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// A ratio, small ones with more digits.
fn short(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") }
}
