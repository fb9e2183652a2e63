//! A job in an engine of its own, inside this process.

use std::time::Instant;

use penfold_linux::release::run_agent;
use penfold_linux::trace::{
    Command, FinishedJob, ForwardedSignals, JobBuilder, JobError, Notice, RunningJob, TraceOptions,
};
use penfold_server::escape::escape;

use super::arguments::RunArguments;
use super::ended_job::{EndedJob, not_started, program_name};
use super::job_socket::JobSocket;
use crate::containment::{self, engine_owner};
use crate::end_status::EndStatus;
use crate::failure::Failure;
use crate::report::{self, JobReport};
use crate::settings;

/// The name of the job's cgroup without `--group`.
const GROUP: &str = "job";

pub(super) fn run(arguments: &RunArguments, signals: &ForwardedSignals) -> Result<EndedJob, Failure> {
    let mut builder = JobBuilder::new(arguments.best_effort);
    builder.on_notice(tell);
    // jobs inside this one bring their own rules later
    builder.allow_later_rules();
    let (engine, host) = builder.parts();
    let group = arguments.group.as_deref().unwrap_or(GROUP);
    let wanted = (&arguments.module[..], &arguments.set[..]);
    let (cgroup, root) = containment::prepare(engine, host, group, wanted)?;
    for setting in &arguments.set {
        settings::apply(engine, host, &engine_owner(), [cgroup, root], setting)?;
    }
    let warnings = builder.warnings().to_vec();
    for warning in &warnings {
        eprintln!("penfold: warning: {warning}");
    }
    let options = TraceOptions { follow_stops: true, ..TraceOptions::default() };
    let program = program_name(&arguments.command);
    let began = Instant::now();
    let mut command = Command::new(arguments.command.iter());
    let socket = JobSocket::new();
    socket.name_to(&mut command);
    let contained = builder.start(command, cgroup, options).map_err(|error| not_started(error, &program))?;
    socket.serve(contained.control());
    let mut ended = wait(contained, signals, &program)?;
    while let Some(release) = ended.parts().0.take_release() {
        if let Err(error) = run_agent(&release) {
            let agent = escape(&release.agent);
            let failure = Failure::io(format!("release agent {agent}"), error);
            eprintln!("penfold: warning: {}", failure.line());
        }
    }
    let wall = began.elapsed();
    let status = EndStatus::of_wait(ended.status.into(), &program)?;
    let report =
        JobReport::gather(&arguments.command, &arguments.set, warnings, wall, status, (cgroup, &mut ended));
    Ok(EndedJob { status, report })
}

fn wait(contained: RunningJob, signals: &ForwardedSignals, program: &str) -> Result<FinishedJob, Failure> {
    contained.wait_forwarding(signals).map_err(|error| match error {
        JobError::Start(error) => not_started(error, program),
        JobError::Attach(error) => Failure::from(error).about(program),
    })
}

fn tell(notice: &Notice) {
    if let Some(text) = report::notice_text(notice) {
        eprintln!("penfold: {text}");
    }
}
