//! `cargo xtask ci`: runs all checks of CI, step by step, and prints the time of each step.

use std::env;
use std::iter;
use std::time::{Duration, Instant};

use crate::{MODULES, cargo, fuzz, run_package, test};

/// Seconds for each fuzz target. All seeds are played even if that takes longer. Longer searches are for
/// `cargo xtask fuzz`.
const FUZZ_SECONDS: &str = "20";

/// The checks of `xtask/style` that must find nothing.
const STYLE_CHECKS: &[&str] = &["names", "pages", "words"];

/// The steps that are done, in order, with their times.
#[derive(Debug, Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn take(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let began = Instant::now();
        let done = step();
        self.0.push((name, began.elapsed()));
        done
    }
}

/// Takes the steps and prints their times. A step that fails is the last.
///
/// # Errors
/// Names the step that failed.
pub(crate) fn ci() -> Result<(), String> {
    let mut steps = Steps::default();
    let done = all(&mut steps);
    for (name, took) in &steps.0 {
        eprintln!("xtask: {:>6.0} s  {name}", took.as_secs_f64());
    }
    let whole: Duration = steps.0.iter().map(|(_, took)| *took).sum();
    eprintln!("xtask: {:>6.0} s  in all", whole.as_secs_f64());
    done
}

fn all(steps: &mut Steps) -> Result<(), String> {
    steps.take("format", format)?;
    steps.take("lints", lints)?;
    steps.take("protocol", || run_package("penfold-generate", &["protocol", "--check"]))?;
    steps.take("arrows", || run_package("penfold-arrows", &["--check"]))?;
    for check in STYLE_CHECKS {
        steps.take(check, || run_package("penfold-style", &[check, "--check"]))?;
    }
    steps.take("documentation", || {
        cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
    })?;
    steps.take("tests: building", test::build)?;
    steps.take("tests: running", || test::test(iter::empty()))?;
    match fuzz::compiler() {
        Err(reason) if env::var_os("CI").is_none_or(|ci| ci != "true") => {
            eprintln!("xtask: skipped: {reason}");
            Ok(())
        }
        _ => steps
            .take("fuzz targets", || fuzz::fuzz(["--seconds", FUZZ_SECONDS].map(str::to_owned).into_iter())),
    }
}

fn format() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    // workspaces of their own
    ["fuzz/Cargo.toml", MODULES]
        .into_iter()
        .try_for_each(|manifest| cargo(&["fmt", "--all", "--manifest-path", manifest, "--check"], &[]))
}

fn lints() -> Result<(), String> {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    let modules = ["clippy", "--locked", "--manifest-path", MODULES, "--workspace", "--all-targets"];
    cargo(&[&modules[..], &["--", "-D", "warnings"]].concat(), &[])
}
