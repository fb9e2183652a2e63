//! The commands that run bare and under penfold.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::overhead::project;

/// A command, and the number of its operations.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The name in the report.
    pub name: &'static str,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// How many operations it does, where that makes sense: to give the cost of one.
    pub operations: Option<u32>,
    /// The ratio to the bare command that penfold aims at.
    pub aim: Option<f64>,
}

const STORM: &str = include_str!("storm.c");

/// Compiles the helper and writes the C project in `directory`; returns all workloads.
///
/// # Errors
/// When files can't be written or the compiler fails.
pub fn prepare(directory: &Path) -> io::Result<Vec<Workload>> {
    let source = directory.join("storm.c");
    let storm = directory.join("storm");
    fs::write(&source, STORM)?;
    let compiled = Command::new("cc").args(["-O2", "-pthread", "-o"]).arg(&storm).arg(&source).status()?;
    if !compiled.success() {
        return Err(io::Error::other("cc could not compile the helper; see its message above"));
    }
    let project = directory.join("project");
    project::write(&project)?;
    let helper =
        |mode: &str, count: u32| vec![storm.display().to_string(), String::from(mode), count.to_string()];
    let make = ["make", "-B", "-s", "-j2", "-C"].map(String::from);
    let project = project.display().to_string();
    Ok(vec![
        storm_of("vfork + exit + wait", helper("vfork", 1_000), 1_000, None),
        storm_of("fork + exec + wait", helper("exec", 200), 200, Some(1.2)),
        storm_of("thread create + join", helper("thread", 2_000), 2_000, None),
        Workload {
            name: "make -j2",
            command: make.into_iter().chain([project]).collect(),
            operations: None,
            aim: Some(1.02),
        },
        Workload { name: "no fork", command: helper("busy", 50_000), operations: None, aim: Some(1.0) },
    ])
}

/// The shortest command there is, for the price of starting and ending penfold itself.
pub fn shortest() -> Workload {
    Workload { name: "true", command: vec![String::from("true")], operations: None, aim: None }
}

fn storm_of(name: &'static str, command: Vec<String>, operations: u32, aim: Option<f64>) -> Workload {
    Workload { name, command, operations: Some(operations), aim }
}
