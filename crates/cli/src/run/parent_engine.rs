//! The engine around a job: the engine of the job that this process is in, or a daemon's.

use penfold_core::Tid;
use penfold_linux::proc::{StatusFile, command_name};
use penfold_linux::trace::TRACER_NAME;
use penfold_server::address::Address;
use penfold_server::protocol::{InfoCall, ProcCall};

use super::arguments::RunArguments;
use super::job_socket::VARIABLE;
use crate::address::CgroupAddress;
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::Failure;
use crate::interrupted;
use crate::settings::Setting;

/// The engine that the job's cgroups are made in.
pub(super) struct ParentEngine {
    pub(super) remote: EngineConnection,
    /// The job gets a cgroup below each of these.
    pub(super) parents: Vec<CgroupAddress>,
    /// True for the engine of one `penfold run`, false for a daemon's.
    pub(super) embedded: bool,
}

/// Finds the parent engine: the daemon's with `--in`, else that of the job around this process.
///
/// `None` means that the job gets an engine of its own.
pub(super) fn find(
    arguments: &RunArguments,
    global: &GlobalOptions,
) -> Result<Option<ParentEngine>, Failure> {
    if !arguments.below.is_empty() {
        let mut remote = global.connect()?;
        let embedded = remote.call(&InfoCall {})?.embedded;
        return Ok(Some(ParentEngine { remote, parents: arguments.below.clone(), embedded }));
    }
    let Some(mut remote) = supervising_engine(global) else {
        return interrupted::ended_by().map_or(Ok(None), |signal| Err(interrupted::end(signal)));
    };
    let embedded = remote.call(&InfoCall {})?.embedded;
    let own = remote.call(&ProcCall { file: "cgroup".to_owned(), task: None })?.content;
    let parents = own_cgroups(&own, &arguments.set);
    Ok(Some(ParentEngine { remote, parents, embedded }))
}

/// Connects to the engine that supervises this process already. The variable of a job that has ended means `None`.
fn supervising_engine(global: &GlobalOptions) -> Option<EngineConnection> {
    if !is_supervised() {
        return None;
    }
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
    if let Some(named) = named {
        return EngineConnection::to(Address::parse(&named)).ok();
    }
    // without the variable, the engine is a daemon's, if that daemon is the tracer
    let mut remote = global.connect().ok()?;
    let daemon = remote.call(&InfoCall {}).ok()?.pid;
    (tracer_process() == Some(daemon)).then_some(remote)
}

/// Whether some penfold traces this process.
fn is_supervised() -> bool {
    match tracer() {
        // a tracer outside of this pid namespace has no number here: then the variable decides, and its socket
        None => std::env::var_os(VARIABLE).is_some(),
        Some(thread) => command_name(thread) == TRACER_NAME,
    }
}

/// The tid of the thread that traces this process.
fn tracer() -> Option<Tid> {
    StatusFile::own()?.tracer()
}

/// The process of the thread that traces this process.
fn tracer_process() -> Option<i64> {
    StatusFile::read(tracer()?)?.group().map(|Tid(process)| process.into())
}

/// This process's cgroups in the hierarchies whose controllers the settings name; if none, in the first hierarchy.
fn own_cgroups(proc_text: &str, settings: &[Setting]) -> Vec<CgroupAddress> {
    let lines = proc_text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let lines: Vec<(&str, &str, &str)> = lines.filter(|(id, ..)| *id != "0").collect();
    let concerned = |subsystems: &str| {
        let of = |setting: &Setting| {
            let controller = setting.file.split_once('.').map_or("", |(controller, _)| controller).to_owned();
            subsystems.split(',').any(|subsystem| subsystem == controller)
        };
        settings.iter().any(of)
    };
    let chosen: Vec<_> = lines.iter().filter(|(_, subsystems, _)| concerned(subsystems)).collect();
    let chosen = if chosen.is_empty() { lines.first().into_iter().collect() } else { chosen };
    chosen.into_iter().map(|(id, _, path)| CgroupAddress(format!("{id}:{path}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_the_settings_are_chosen() {
        let text = "3:name=x:/y\n2:cpuset,cpuacct:/a:b\n1:pids:/p\n0::/\n";
        let of = |settings: &[&str]| {
            let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
            own_cgroups(text, &settings).into_iter().map(|one| one.0).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(&["pids.max=1"]), "1:/p");
        assert_eq!(of(&["pids.max=1", "cpuset.cpus=0"]), "2:/a:b 1:/p");
        assert_eq!(of(&[]), "3:/y");
    }
}
