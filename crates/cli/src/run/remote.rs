//! A job in somebody else's tree: that of the job around this one, or the daemon's.

use std::time::Instant;

use nix::errno::Errno;
use penfold_linux::trace::{Command, Guest, Signals, TRACER_NAME};
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::{AttachCall, InfoCall, ProcCall};

use super::job_socket::VARIABLE;
use super::tenancy::Tenancy;
use super::{Arguments, Over, lent, not_started};
use crate::address::CgroupAddress;
use crate::failure::Failure;
use crate::relay::{self, Job};
use crate::remote::{Global, Remote};
use crate::report::Facts;
use crate::settings::Setting;

/// Whose tree it is, and where in it the job's cgroups are to be.
pub(super) struct Landlord {
    pub(super) remote: Remote,
    pub(super) parents: Vec<CgroupAddress>,
    /// The engine of one `penfold run`.
    pub(super) embedded: bool,
}

/// The engine to ask, if there is one: the daemon with `--in`, or that of the job that this process is in.
pub(super) fn find(arguments: &Arguments, global: &Global) -> Result<Option<Landlord>, Failure> {
    if !arguments.below.is_empty() {
        let mut remote = global.connect()?;
        let embedded = remote.call(&InfoCall {})?.embedded;
        return Ok(Some(Landlord { remote, parents: arguments.below.clone(), embedded }));
    }
    let Some(mut remote) = around_us(global) else { return Ok(None) };
    let embedded = remote.call(&InfoCall {})?.embedded;
    let own = remote.call(&ProcCall { file: "cgroup".to_owned(), task: None })?.content;
    let parents = own_cgroups(&own, &arguments.set);
    Ok(Some(Landlord { remote, parents, embedded }))
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
        0 => std::env::var_os(VARIABLE).is_some(),
        thread => {
            let name = std::fs::read_to_string(format!("/proc/{thread}/comm")).unwrap_or_default();
            name.trim_end() == TRACER_NAME
        }
    }
}

/// The thread that traces us; 0 for none.
fn tracer() -> i64 {
    status_number("self", "TracerPid:").unwrap_or(0)
}

/// The process of that thread.
fn tracer_process() -> Option<i64> {
    status_number(&tracer().to_string(), "Tgid:")
}

fn status_number(process: &str, field: &str) -> Option<i64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field))?.trim().parse().ok()
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

pub(super) fn run(arguments: &Arguments, mut landlord: Landlord, signals: &Signals) -> Result<Over, Failure> {
    let lent = lent::borrow(&mut landlord, &arguments.module).map_err(Failure::before_command)?;
    let mut tenancy =
        Tenancy::begin(landlord, lent, arguments.group.as_deref()).map_err(Failure::before_command)?;
    let done = in_tenancy(arguments, &mut tenancy, signals);
    let warnings = tenancy.end();
    for warning in &warnings {
        eprintln!("penfold: warning: {warning}");
    }
    done
}

fn in_tenancy(arguments: &Arguments, tenancy: &mut Tenancy, signals: &Signals) -> Result<Over, Failure> {
    for setting in &arguments.set {
        tenancy.set(setting).map_err(|failure| failure.of(format!("-s {setting}")).before_command())?;
    }
    let began = Instant::now();
    let status = command(arguments, tenancy, signals)?;
    // what it left behind goes first: only then is everything accounted for
    let warnings = tenancy.kill();
    let used = tenancy.usage().map_err(Failure::before_command)?;
    let facts =
        Facts::of_tenancy(&arguments.command, &arguments.set, warnings, began.elapsed(), status, used);
    Ok(Over { status, facts })
}

/// Runs the command in the job's cgroups: as our own child, which keeps terminal, session, limits and open files as
/// they are, where the engine can take it in with all that the cgroups ask for; otherwise the daemon starts it.
fn command(arguments: &Arguments, tenancy: &mut Tenancy, signals: &Signals) -> Result<i32, Failure> {
    let guest = Guest::fork(&Command::new(arguments.command.iter())).map_err(|error| not_started(&error))?;
    match place(&guest, tenancy) {
        Ok(()) => return guest.run(signals).map_err(|error| not_started(&error)),
        Err(failure) if tenancy.embedded || !can_be_started_there(&failure) => {
            return Err(failure.before_command());
        }
        Err(_) => drop(guest),
    }
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdin())
        && std::io::IsTerminal::is_terminal(&std::io::stdout());
    let job = Job::new(&tenancy.cgroups, &arguments.command, terminal, false);
    relay::run(&mut tenancy.remote, &job)
}

fn place(guest: &Guest, tenancy: &mut Tenancy) -> Result<(), Failure> {
    for cgroup in tenancy.cgroups.clone() {
        let call = AttachCall { cgroup: cgroup.0.clone(), task: guest.pid().into(), process: true };
        tenancy.remote.call(&call).map_err(|failure| failure.of(&cgroup))?;
    }
    Ok(())
}

/// A process that runs already can't be traced, or has no filter that some rule wants: one that the daemon starts has.
fn can_be_started_there(failure: &Failure) -> bool {
    matches!(failure.errno, Some(Errno::EPERM | Errno::EOPNOTSUPP))
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
