//! The engine around a job: that of the job that this process is in, or a daemon's.

use penfold_core::Tid;
use penfold_linux::proc::{StatusFile, command_name};
use penfold_linux::trace::TRACER_NAME;
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::{InfoCall, ProcCall};

use super::arguments::Arguments;
use super::job_socket::VARIABLE;
use crate::address::CgroupAddress;
use crate::failure::Failure;
use crate::remote::{Global, Remote};
use crate::settings::Setting;

/// The engine that the job's cgroups are made in.
pub(super) struct ParentEngine {
    pub(super) remote: Remote,
    /// The job gets a cgroup below each of these.
    pub(super) parents: Vec<CgroupAddress>,
    /// The engine of one `penfold run`.
    pub(super) embedded: bool,
}

/// The engine to ask, if there is one: the daemon with `--in`, or that of the job that this process is in.
pub(super) fn find(arguments: &Arguments, global: &Global) -> Result<Option<ParentEngine>, Failure> {
    if !arguments.below.is_empty() {
        let mut remote = global.connect()?;
        let embedded = remote.call(&InfoCall {})?.embedded;
        return Ok(Some(ParentEngine { remote, parents: arguments.below.clone(), embedded }));
    }
    let Some(mut remote) = around_us(global) else { return Ok(None) };
    let embedded = remote.call(&InfoCall {})?.embedded;
    let own = remote.call(&ProcCall { file: "cgroup".to_owned(), task: None })?.content;
    let parents = own_cgroups(&own, &arguments.set);
    Ok(Some(ParentEngine { remote, parents, embedded }))
}

/// The engine that supervises this process already. A variable that is left over from a job that has ended means none.
fn around_us(global: &Global) -> Option<Remote> {
    if !is_supervised() {
        return None;
    }
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
    if let Some(named) = named {
        let connection = Connection::connect(&Address::parse(&named)).ok()?;
        return Some(Remote { connection });
    }
    // run by a daemon, which is the one to ask if it is our tracer
    let mut remote = global.connect().ok()?;
    let daemon = remote.call(&InfoCall {}).ok()?.pid;
    (tracer_process() == Some(daemon)).then_some(remote)
}

/// Does some penfold trace this process?
fn is_supervised() -> bool {
    match tracer() {
        // in a pid namespace of our own the tracer has no number; whether it is one of ours then the socket tells
        None => std::env::var_os(VARIABLE).is_some(),
        Some(thread) => command_name(thread) == TRACER_NAME,
    }
}

/// The thread that traces us.
fn tracer() -> Option<Tid> {
    StatusFile::own()?.tracer()
}

/// The process of that thread.
fn tracer_process() -> Option<i64> {
    StatusFile::read(tracer()?)?.group().map(|Tid(process)| process.into())
}

/// Our own cgroups, of the hierarchies that the settings concern; without settings, of the first.
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
    fn the_hierarchies_of_the_settings_are_chosen() {
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
