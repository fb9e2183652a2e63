//! `CONTROLLERS:PATH`, as libcgroup's tools take it.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use std::fmt;
use std::str::FromStr;

use penfold_server::protocol::{HierarchiesCall, HierarchyInfo};

use crate::address::CgroupAddress;
use crate::engine_connection::EngineConnection;
use crate::failure::Failure;

/// Cgroups of one path in the hierarchies of some controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupSpec {
    pub(super) controllers: Vec<String>,
    pub(super) path: String,
}

impl FromStr for GroupSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<GroupSpec, String> {
        match text.split_once(':') {
            Some((controllers, path)) if !controllers.is_empty() => Ok(GroupSpec {
                controllers: controllers.split(',').map(str::to_owned).collect(),
                path: path.to_owned(),
            }),
            _ => Err("give CONTROLLERS:PATH, such as pids,cpuset:/build; * is every hierarchy".to_owned()),
        }
    }
}

impl fmt::Display for GroupSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.controllers.join(","), self.path)
    }
}

/// The mounted hierarchies of a daemon, in which controllers are looked up.
pub(super) struct MountedHierarchies(pub(super) Vec<HierarchyInfo>);

impl MountedHierarchies {
    pub(super) fn fetch(remote: &mut EngineConnection) -> Result<MountedHierarchies, Failure> {
        let mut all = remote.call(&HierarchiesCall {})?.hierarchies;
        all.retain(|one| one.mounts > 0);
        Ok(MountedHierarchies(all))
    }

    /// The hierarchy that has a controller, or is called `name=…`.
    pub(super) fn with_controller(&self, controller: &str) -> Result<&HierarchyInfo, Failure> {
        let found = self.0.iter().find(|one| match controller.strip_prefix("name=") {
            Some(name) => one.name == name,
            None => one.subsystems.iter().any(|subsystem| subsystem == controller),
        });
        found.ok_or_else(|| {
            let all: Vec<String> = self.0.iter().map(controllers).collect();
            let detail = format!("not mounted in any hierarchy; there are {}", all.join(" "));
            Failure::new(ErrorKind::NotFound, Errno::ENOENT, controller, detail)
        })
    }

    /// The addresses of a specification, one in each hierarchy.
    pub(super) fn addresses(&self, spec: &GroupSpec) -> Result<Vec<CgroupAddress>, Failure> {
        let mut found: Vec<&HierarchyInfo> = Vec::new();
        for controller in &spec.controllers {
            let more: Vec<&HierarchyInfo> = match controller.as_str() {
                "*" => self.0.iter().collect(),
                controller => vec![self.with_controller(controller)?],
            };
            for one in more {
                if !found.iter().any(|other| other.id == one.id) {
                    found.push(one);
                }
            }
        }
        Ok(found.into_iter().map(|one| at(one, &spec.path)).collect())
    }

    /// The addresses of several specifications, each hierarchy and path once.
    pub(super) fn all_addresses(&self, specs: &[GroupSpec]) -> Result<Vec<CgroupAddress>, Failure> {
        let mut all: Vec<CgroupAddress> = Vec::new();
        for spec in specs {
            all.extend(self.addresses(spec)?);
        }
        let mut seen = Vec::new();
        all.retain(|one| {
            !seen.contains(one) && {
                seen.push(one.clone());
                true
            }
        });
        Ok(all)
    }
}

/// The address of a path in a hierarchy. The path may be written without its first slash.
pub(super) fn at(hierarchy: &HierarchyInfo, path: &str) -> CgroupAddress {
    CgroupAddress(format!("{}:/{}", hierarchy.id, path.trim_matches('/')))
}

/// A hierarchy as libcgroup writes it: its controllers, or `name=…`.
pub(super) fn controllers(hierarchy: &HierarchyInfo) -> String {
    if hierarchy.subsystems.is_empty() {
        format!("name={}", hierarchy.name)
    } else {
        hierarchy.subsystems.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchies() -> MountedHierarchies {
        let one = |id, name: &str, subsystems: &[&str]| HierarchyInfo {
            id,
            name: name.into(),
            subsystems: subsystems.iter().map(|name| (*name).to_owned()).collect(),
            mounts: 1,
            ..HierarchyInfo::default()
        };
        MountedHierarchies(vec![
            one(1, "", &["cpuset", "cpuacct"]),
            one(2, "", &["pids"]),
            one(3, "foo", &[]),
        ])
    }

    #[test]
    fn controllers_of_one_hierarchy_are_one_cgroup() {
        let addresses = |text: &str| {
            let found = hierarchies().addresses(&text.parse().unwrap());
            found.map(|all| all.into_iter().map(|one| one.0).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(addresses("cpuset,cpuacct:/x").unwrap(), "1:/x");
        assert_eq!(addresses("pids,cpuacct:x/y/").unwrap(), "2:/x/y 1:/x/y");
        assert_eq!(addresses("*:x").unwrap(), "1:/x 2:/x 3:/x");
        assert_eq!(addresses("name=foo:/").unwrap(), "3:/");
        assert!(addresses("memory:/x").unwrap_err().to_string().contains("memory: not mounted"));
        assert!("x".parse::<GroupSpec>().is_err() && ":/x".parse::<GroupSpec>().is_err());
    }
}
