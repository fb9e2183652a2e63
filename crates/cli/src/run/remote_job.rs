//! The cgroups of a job in another engine's tree, from mkdir to rmdir.

use std::collections::BTreeMap;

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_module::loader::search;
use penfold_server::protocol::{
    CgroupUsageInfo, FilesCall, KillCall, MkdirCall, ReadCall, RmdirCall, SubsystemsCall, UsageCall,
};

use super::parent_engine::ParentEngine;
use super::temporary_modules::TemporaryModules;
use crate::address::CgroupAddress;
use crate::engine_connection::EngineConnection;
use crate::failure::{Failure, usage};
use crate::modules;
use crate::progress;
use crate::report::{JobUsage, RemoteLimitHit};
use crate::settings::{Setting, no_such_file};
use crate::verbs::{mkdir, set};

/// The most names to try until one is free.
const ATTEMPTS: u32 = 1000;

/// How often each limit of a cgroup has refused something, by the limit's file.
type Refusals = BTreeMap<String, i64>;

/// A job in another engine's tree, with all that was made there for it.
pub(super) struct RemoteJob {
    pub(super) remote: EngineConnection,
    pub(super) embedded: bool,
    /// The cgroups that the command is put into, one in each hierarchy.
    pub(super) cgroups: Vec<CgroupAddress>,
    /// Every cgroup that was made, each before those below it.
    made: Vec<CgroupAddress>,
    /// The refusals by limits of the cgroups above, from before the job.
    above: Vec<(CgroupAddress, Refusals)>,
    modules: TemporaryModules,
}

impl RemoteJob {
    /// Makes the job's cgroups below those of the parent engine. After a failure none is left.
    pub(super) fn begin(
        parent: ParentEngine,
        modules: TemporaryModules,
        group: Option<&str>,
    ) -> Result<RemoteJob, Failure> {
        let ParentEngine { remote, parents, embedded } = parent;
        let mut job =
            RemoteJob { remote, embedded, cgroups: Vec::new(), made: Vec::new(), above: Vec::new(), modules };
        for parent in &parents {
            let made = match group {
                Some(group) => job.make_path(parent, group),
                None => job.make_any(parent),
            };
            match made.and_then(|cgroup| Ok((job.note_above(parent)?, cgroup))) {
                Ok((above, cgroup)) => {
                    job.above.extend(above);
                    job.cgroups.push(cgroup);
                }
                Err(failure) => {
                    job.end();
                    return Err(failure);
                }
            }
        }
        Ok(job)
    }

    /// The mode of a new cgroup.
    ///
    /// Inside a job every user may run further jobs: there the engine decides by a caller's place, not by modes.
    fn mode(&self) -> u32 {
        if self.embedded { 0o777 } else { mkdir::by_umask() }
    }

    fn make(&mut self, cgroup: &CgroupAddress) -> Result<(), Failure> {
        let mode = Some(self.mode().into());
        let made = self.remote.call(&MkdirCall { cgroup: cgroup.0.clone(), mode, parents: None });
        made.map_err(|failure| match (failure.kind, cgroup.split_last()) {
            // the user has named what is above, not this one
            (ErrorKind::NotFound, Some((parent, _))) => failure.about(parent.0),
            _ => failure,
        })?;
        self.made.push(cgroup.clone());
        Ok(())
    }

    /// Makes a cgroup at a path that the user gave. The last name must be new; cgroups above it may exist.
    fn make_path(&mut self, parent: &CgroupAddress, group: &str) -> Result<CgroupAddress, Failure> {
        let names: Vec<&str> = group.split('/').filter(|name| !name.is_empty()).collect();
        let mut at = parent.clone();
        for (left, name) in (0..names.len()).rev().zip(&names) {
            at = at.child(name);
            match self.make(&at) {
                Err(failure) if left > 0 && failure.kind == ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        if names.is_empty() { Err(usage("--group", "give a name")) } else { Ok(at) }
    }

    /// Makes a cgroup with a free name. `run-PID` may be taken: another pid namespace may have the same pid.
    fn make_any(&mut self, parent: &CgroupAddress) -> Result<CgroupAddress, Failure> {
        let own = format!("run-{}", std::process::id());
        let mut names = (1..ATTEMPTS).map(|number| match number {
            1 => own.clone(),
            number => format!("{own}-{number}"),
        });
        loop {
            let name = names.next().ok_or_else(|| no_name_is_free(parent))?;
            let cgroup = parent.child(&name);
            match self.make(&cgroup) {
                Err(failure) if failure.kind == ErrorKind::AlreadyExists => {}
                made => return made.map(|()| cgroup),
            }
        }
    }

    /// The refusals so far by the limits of a cgroup and of all above it.
    fn note_above(&mut self, parent: &CgroupAddress) -> Result<Vec<(CgroupAddress, Refusals)>, Failure> {
        let parents =
            std::iter::successors(Some(parent.clone()), |at| at.split_last().map(|(above, _)| above));
        let mut noted = Vec::new();
        for at in parents.collect::<Vec<_>>() {
            let usage = self.usage_of(&at, false)?.into_iter().next().unwrap_or_default();
            noted.push((at, usage.limits.into_iter().map(|limit| (limit.file, limit.failures)).collect()));
        }
        Ok(noted)
    }

    fn usage_of(&mut self, cgroup: &CgroupAddress, recursive: bool) -> Result<Vec<CgroupUsageInfo>, Failure> {
        let call = UsageCall { cgroup: cgroup.0.clone(), recursive: recursive.then_some(true) };
        Ok(self.remote.call(&call)?.usages)
    }

    /// Writes a setting into the cgroup whose hierarchy has the file.
    pub(super) fn set(&mut self, setting: &Setting) -> Result<(), Failure> {
        let mut choices = Vec::new();
        for cgroup in self.cgroups.clone() {
            let files = self.remote.call(&FilesCall { cgroup: cgroup.0.clone() })?.files;
            if files.iter().any(|file| file.name == setting.file) {
                let file = cgroup.child(&setting.file).0;
                return set::write(&mut self.remote, &cgroup, setting).map_err(|failure| {
                    if failure.subject == file { failure.about(format!("-s {setting}")) } else { failure }
                });
            }
            choices
                .extend(files.into_iter().filter(|file| file.owner.mode & 0o222 != 0).map(|file| file.name));
        }
        let remedy = self.remedy(setting)?;
        Err(no_such_file(setting, choices, &remedy))
    }

    /// A hint for the user if the controller of a setting is a module that is not loaded; else empty.
    fn remedy(&mut self, setting: &Setting) -> Result<String, Failure> {
        let Some(name) = modules::controller_of(setting) else { return Ok(String::new()) };
        let there = self.remote.call(&SubsystemsCall {})?.subsystems;
        if there.iter().any(|subsystem| subsystem.name == name) || search::find(name).is_err() {
            return Ok(String::new());
        }
        let where_to = if self.embedded { " to the penfold run around this one" } else { "" };
        Ok(format!("; a module that is not loaded has it: give --module {name}{where_to}"))
    }

    /// Kills the processes in the job's cgroups. Returns a warning for each cgroup in which that failed.
    pub(super) fn kill(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        for cgroup in self.cgroups.clone() {
            let call = KillCall { cgroup: cgroup.0.clone() };
            let killed = progress::during("penfold: killing what is left", || self.remote.call(&call));
            warnings.extend(killed.err().map(|failure| failure.line()));
        }
        warnings
    }

    /// The resources that the job has used, and the limits that have refused it something.
    pub(super) fn usage(&mut self) -> Result<JobUsage, Failure> {
        let mut used = JobUsage::default();
        for cgroup in self.cgroups.clone() {
            let usages = self.usage_of(&cgroup, true)?;
            let own = usages.first().cloned().unwrap_or_default();
            used.user = used.user.or(own.user);
            used.system = used.system.or(own.system);
            let peak =
                own.limits.iter().filter(|limit| limit.file == "pids.max").map(|limit| limit.peak).max();
            used.peak = used.peak.or(peak);
            for usage in usages {
                for limit in usage.limits.into_iter().filter(|limit| limit.failures > 0) {
                    used.refused += limit.failures;
                    used.hits.push(RemoteLimitHit {
                        cgroup: usage.cgroup.clone(),
                        file: limit.file,
                        limit: limit.limit,
                        refused: limit.failures,
                        above: false,
                    });
                }
            }
            self.read_files(&cgroup, &mut used.files)?;
        }
        for (cgroup, before) in std::mem::take(&mut self.above) {
            let now = self.usage_of(&cgroup, false)?.into_iter().next().unwrap_or_default();
            for limit in now.limits {
                let refused = limit.failures - before.get(&limit.file).copied().unwrap_or(0);
                if refused > 0 {
                    let (cgroup, file) = (cgroup.0.clone(), limit.file);
                    used.hits.push(RemoteLimitHit { cgroup, file, limit: limit.limit, refused, above: true });
                }
            }
        }
        Ok(used)
    }

    /// Reads every readable control file of a controller in a cgroup.
    fn read_files(
        &mut self,
        cgroup: &CgroupAddress,
        into: &mut BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let files = self.remote.call(&FilesCall { cgroup: cgroup.0.clone() })?.files;
        for file in files.into_iter().filter(|file| file.owner.mode & 0o444 != 0 && file.name.contains('.')) {
            let call = ReadCall { cgroup: cgroup.0.clone(), file: file.name.clone() };
            if let Ok(reply) = self.remote.call(&call) {
                into.insert(file.name, reply.content.trim_end_matches('\n').to_owned());
            }
        }
        Ok(())
    }

    /// Kills the job's processes, removes its cgroups with all that the job made below, and undoes its modules.
    ///
    /// Returns a warning for each step that failed.
    pub(super) fn end(&mut self) -> Vec<String> {
        let mut warnings = self.kill();
        for cgroup in std::mem::take(&mut self.made).into_iter().rev() {
            let call = RmdirCall { cgroup: cgroup.0.clone(), recursive: Some(true) };
            warnings.extend(self.remote.call(&call).err().map(|failure| failure.line()));
        }
        warnings.extend(self.modules.undo(&mut self.remote));
        warnings
    }
}

fn no_name_is_free(parent: &CgroupAddress) -> Failure {
    let detail = format!("{ATTEMPTS} names for a job's cgroup are taken; remove some");
    Failure::new(ErrorKind::AlreadyExists, Errno::EEXIST, parent.to_string(), detail)
}
