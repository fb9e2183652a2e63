//! The scenarios: each a walk through one part of cgroup v1.

mod cpuacct;
mod cpuset;
mod cpuset_rules;
mod directories;
mod files;
mod freezer;
mod membership;
mod mounts;
mod net_cls;
mod permissions;
mod pids;
mod release;
mod remounts;
mod walks;

pub use walks::{WALKS, Walk};

use crate::scenario_run::ScenarioRun;

/// A scenario and its needs.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Name of the recording.
    pub name: &'static str,
    /// Controllers that must have a hierarchy of their own.
    pub opens: &'static [&'static str],
    /// Controllers that must be bound to no hierarchy.
    pub binds: &'static [&'static str],
    /// Controllers in whose hierarchy no other program may have a cgroup: the kernel's answers depend on all siblings.
    pub alone: &'static [&'static str],
    /// The walk.
    pub play: fn(&mut ScenarioRun),
}

const fn scenario(
    name: &'static str,
    opens: &'static [&'static str],
    play: fn(&mut ScenarioRun),
) -> Scenario {
    Scenario { name, opens, binds: &[], alone: &[], play }
}

const fn binding(name: &'static str, binds: &'static [&'static str], play: fn(&mut ScenarioRun)) -> Scenario {
    Scenario { name, opens: &[], binds, alone: &[], play }
}

impl Scenario {
    const fn alone(self) -> Scenario {
        Scenario { alone: self.opens, ..self }
    }
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    binding("mount_data", &["net_cls", "perf_event"], mounts::data),
    binding("mount_sharing", &["net_cls", "perf_event", "net_prio"], mounts::sharing),
    scenario("mount_survival", &[], mounts::survival),
    scenario("remount_named", &[], remounts::named),
    binding("remount_rebind", &["net_cls", "perf_event", "net_prio"], remounts::rebind),
    scenario("directory_names", &[], directories::names),
    scenario("directory_removed", &[], directories::removed),
    scenario("directory_rename", &[], directories::rename),
    scenario("directory_rmdir", &[], directories::rmdir),
    scenario("files_stat", &[], files::stat),
    scenario("files_refused", &[], files::refused),
    scenario("files_offsets", &[], files::offsets),
    scenario("files_numbers", &[], files::numbers),
    scenario("membership_writes", &[], membership::writes),
    scenario("membership_threads", &[], membership::threads),
    scenario("membership_lists", &[], membership::lists),
    scenario("permissions_membership", &[], permissions::membership),
    scenario("permissions_files", &[], permissions::files),
    scenario("release_events", &[], release::events),
    scenario("release_agent_file", &[], release::agent_file),
    scenario("pids_limits", &["pids"], pids::limits),
    scenario("pids_max", &["pids"], pids::max),
    scenario("pids_zombies", &["pids"], pids::zombies),
    scenario("cpuset_files", &["cpuset"], cpuset::files),
    scenario("cpuset_lists", &["cpuset"], cpuset::lists),
    scenario("cpuset_flags", &["cpuset"], cpuset::flags),
    scenario("cpuset_members", &["cpuset"], cpuset_rules::members),
    scenario("cpuset_affinity", &["cpuset"], cpuset_rules::affinity),
    scenario("cpuset_hierarchy", &["cpuset"], cpuset_rules::hierarchy).alone(),
    scenario("cpuset_clone", &["cpuset"], cpuset_rules::clone_children).alone(),
    scenario("cpuacct_files", &["cpuacct"], cpuacct::files),
    scenario("freezer_writes", &["freezer"], freezer::writes),
    scenario("freezer_hierarchy", &["freezer"], freezer::hierarchy),
    scenario("freezer_members", &["freezer"], freezer::members),
    binding("net_cls", &["net_cls"], net_cls::classid),
    scenario("walk_directories", &[], walks::recorded_directories),
    binding("walk_mounts", &["net_cls", "perf_event", "net_prio"], walks::recorded_mounts),
    scenario("walk_release", &[], walks::recorded_release),
    scenario("walk_pids", &["pids"], walks::recorded_pids),
    scenario("walk_freezer", &["freezer"], walks::recorded_freezer),
    scenario("walk_cpuset", &["cpuset"], walks::recorded_cpuset).alone(),
];
