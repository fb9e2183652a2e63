//! The report at the end of a job: a few lines for people, one JSON document for programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use penfold_core::CgroupId;
use penfold_linux::descriptor::take_over;
use penfold_linux::trace::{FinishedJob, Notice};
use serde::Serialize;

use crate::address::path_of;
use crate::containment::engine_owner;
use crate::end_status::EndStatus;
use crate::failure::Failure;
use crate::settings::Setting;

/// The target of `--json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Path(PathBuf),
    Descriptor(i32),
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Destination, String> {
        // A file that is open already must not be emptied by opening it anew.
        let open = match text {
            "/dev/stdout" => "1",
            "/dev/stderr" => "2",
            _ => {
                text.strip_prefix("/dev/fd/").or_else(|| text.strip_prefix("/proc/self/fd/")).unwrap_or(text)
            }
        };
        match open.parse() {
            _ if text.is_empty() => Err("give a file or a descriptor's number".to_owned()),
            Ok(number) => Ok(Destination::Descriptor(number)),
            Err(_) => Ok(Destination::Path(text.into())),
        }
    }
}

impl Destination {
    /// Opens the target, close-on-exec. This happens before the command runs, so that a bad name costs no work.
    pub(crate) fn open(&self) -> Result<File, Failure> {
        let (name, opened) = match self {
            Destination::Path(path) => (path.to_string_lossy().into_owned(), File::create(path)),
            Destination::Descriptor(number) => (number.to_string(), take_over(*number)),
        };
        opened
            .map_err(|error| Failure::io(format!("--json {name}"), error).with_prefix("can't write to it: "))
    }
}

/// The use of a job in another engine's tree, read when its last process has died.
#[derive(Debug, Default)]
pub(crate) struct JobUsage {
    /// User CPU time in nanoseconds; `None` without cpuacct in the hierarchy.
    pub(crate) user: Option<i64>,
    /// System CPU time in nanoseconds, likewise.
    pub(crate) system: Option<i64>,
    /// The most tasks at one time; `None` if no controller counts tasks.
    pub(crate) peak: Option<i64>,
    /// Forks refused by the job's own limits.
    pub(crate) refused: i64,
    /// The limits that refused something.
    pub(crate) hits: Vec<RemoteLimitHit>,
    /// The contents of the control files, by name.
    pub(crate) files: BTreeMap<String, String>,
}

/// A limit in another engine's tree that refused something.
#[derive(Debug)]
pub(crate) struct RemoteLimitHit {
    pub(crate) cgroup: String,
    pub(crate) file: String,
    /// `None` if only the file shows the limit.
    pub(crate) limit: Option<i64>,
    pub(crate) refused: i64,
    /// True for a limit of a cgroup above the job, which others may have reached too.
    pub(crate) above: bool,
}

/// The report of one job.
#[derive(Debug, Serialize)]
pub(crate) struct JobReport {
    version: u32,
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    wall_seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    /// `None` for a job in another engine's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_created: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_peak: Option<u64>,
    forks_refused: u64,
    limits_hit: Vec<ReportedLimit>,
    settings: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    warnings: Vec<String>,
    notices: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ReportedLimit {
    file: String,
    cgroup: String,
    /// `None` if the controller's file does not show the limit as a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    refused: u64,
    hint: String,
}

impl JobReport {
    /// The report of a job in an engine of this process.
    pub(crate) fn gather(
        command: &[OsString],
        settings: &[Setting],
        warnings: Vec<String>,
        wall: Duration,
        status: EndStatus,
        (cgroup, ended): (CgroupId, &mut FinishedJob),
    ) -> JobReport {
        let (user, system) = ended.times();
        let peak = ended.statistics.peak;
        let hits = std::mem::take(&mut ended.limits_hit).into_iter().map(|hit| {
            let limit = hit.limit.or_else(|| number_in(ended, hit.cgroup, &hit.file));
            ReportedLimit {
                hint: hint(&hit.file, limit, peak),
                file: hit.file,
                cgroup: String::from_utf8_lossy(&hit.path).into_owned(),
                limit,
                refused: hit.failures,
            }
        });
        let hits = hits.collect();
        JobReport {
            version: 1,
            command: words(command),
            exit: status.exit(),
            signal: status.signal(),
            wall_seconds: wall.as_secs_f64(),
            user_seconds: user.as_secs_f64(),
            system_seconds: system.as_secs_f64(),
            tasks_created: Some(ended.statistics.created),
            tasks_peak: Some(ended.statistics.peak),
            forks_refused: ended.statistics.refused,
            limits_hit: hits,
            settings: by_file(settings),
            notices: ended.statistics.notices.iter().filter_map(notice_text).collect(),
            files: files(cgroup, ended),
            warnings,
        }
    }

    /// The report of a job in another engine's tree, from the counters of its cgroups.
    pub(crate) fn of_remote_job(
        command: &[OsString],
        settings: &[Setting],
        warnings: Vec<String>,
        wall: Duration,
        status: EndStatus,
        used: JobUsage,
    ) -> JobReport {
        let seconds = |nanoseconds: Option<i64>| nanoseconds.unwrap_or(0) as f64 / 1e9;
        let peak = used.peak.map(|peak| peak as u64);
        let hits = used.hits.into_iter().map(|hit| ReportedLimit {
            hint: if hit.above {
                format!("a limit of {}, around this job", hit.cgroup)
            } else {
                hint(&hit.file, hit.limit.map(|limit| limit as u64), peak.unwrap_or(0))
            },
            file: hit.file,
            cgroup: path_of(&hit.cgroup).to_owned(),
            limit: hit.limit.map(|limit| limit as u64),
            refused: hit.refused as u64,
        });
        JobReport {
            version: 1,
            command: words(command),
            exit: status.exit(),
            signal: status.signal(),
            wall_seconds: wall.as_secs_f64(),
            user_seconds: seconds(used.user),
            system_seconds: seconds(used.system),
            tasks_created: None,
            tasks_peak: peak,
            forks_refused: used.refused as u64,
            limits_hit: hits.collect(),
            settings: by_file(settings),
            notices: Vec::new(),
            files: used.files,
            warnings,
        }
    }

    /// The report as lines for people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let how = match (self.exit, self.signal) {
            (Some(code), _) => format!("exited with {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        let name = self.command.first().map_or("the command", |word| word);
        let _ = writeln!(text, "penfold: {name} {how}");
        let _ = writeln!(
            text,
            "  time   {:.2} s wall, {:.2} s user, {:.2} s system",
            self.wall_seconds, self.user_seconds, self.system_seconds
        );
        let created = self.tasks_created.map(|created| format!("{created} created"));
        let peak = self.tasks_peak.map(|peak| format!("at most {peak} at one time"));
        let tasks: Vec<String> = created.into_iter().chain(peak).collect();
        if !tasks.is_empty() {
            let _ = writeln!(text, "  tasks  {}", tasks.join(", "));
        }
        if self.forks_refused > 0 {
            let _ = writeln!(text, "  forks  {} refused", self.forks_refused);
        }
        for hit in &self.limits_hit {
            let often = if hit.refused == 1 { "once".to_owned() } else { format!("{} times", hit.refused) };
            let limit = hit.limit.map_or_else(String::new, |limit| format!("={limit}"));
            let _ = writeln!(text, "  limit  {}{limit} refused {often}; {}", hit.file, hit.hint);
        }
        text
    }
}

fn words(command: &[OsString]) -> Vec<String> {
    command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn by_file(settings: &[Setting]) -> BTreeMap<String, String> {
    settings.iter().map(|one| (one.file.clone(), one.value.clone())).collect()
}

fn hint(file: &str, limit: Option<u64>, peak: u64) -> String {
    let more = limit.unwrap_or(0).saturating_mul(2).max(peak);
    match file {
        "pids.max" => format!("raise it (-s pids.max={more}) or start fewer tasks at a time"),
        _ => format!("raise it with -s {file}=VALUE"),
    }
}

/// The content of a control file, if it is a number. A file that only the root has holds for every cgroup.
fn number_in(ended: &mut FinishedJob, cgroup: CgroupId, file: &str) -> Option<u64> {
    let (engine, host) = ended.parts();
    let mut upwards = std::iter::successors(Some(cgroup), |&at| engine.tree().get(at)?.parent());
    let (at, file) = upwards.find_map(|at| Some((at, engine.find_file(at, file)?)))?;
    let content = engine.session(host, &engine_owner()).read(at, file).ok()?;
    std::str::from_utf8(&content).ok()?.trim().parse().ok()
}

/// Every control file of the job's cgroup that can be read, as it was at the end.
fn files(cgroup: CgroupId, ended: &mut FinishedJob) -> BTreeMap<String, String> {
    let (engine, host) = ended.parts();
    let entries = engine.files(cgroup).unwrap_or_default();
    let readable = entries.into_iter().filter(|file| file.owner.mode & 0o444 != 0 && file.name.contains('.'));
    readable
        .filter_map(|file| {
            let content = engine.session(host, &engine_owner()).read(cgroup, file.id).ok()?;
            Some((file.name, String::from_utf8_lossy(&content).trim_end_matches('\n').to_owned()))
        })
        .collect()
}

/// A notice as a sentence; `None` for a notice that concerns no user.
pub(crate) fn notice_text(notice: &Notice) -> Option<String> {
    match notice {
        Notice::PtraceRefused { tgid, comm } => Some(format!(
            "{comm} (pid {tgid}) asked to trace a process and was refused (EPERM): debuggers, strace and LeakSanitizer \
             don't work inside a traced job"
        )),
        Notice::FilterFailed { tgid, comm, reason } => Some(format!(
            "{comm} (pid {tgid}) is not held to the rules of its cgroup: it got no system call filter: {reason}"
        )),
        Notice::UnjudgedKilled { parent, child } => Some(format!(
            "pid {child} was killed at its birth: a filter of its parent (pid {parent}) hid the fork from a limit that \
             refuses it"
        )),
        Notice::UntracedCleared { .. } => None,
    }
}

pub(crate) fn write_json(mut file: File, report: &JobReport) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(report).map_err(std::io::Error::from);
    text.and_then(|text| file.write_all(format!("{text}\n").as_bytes()))
        .map_err(|error| Failure::io("--json", error))
}
