//! Controllers that the administrator has disabled: `serve --disable`, the `cgroup_disable=` of the kernel.
//!
//! A disabled controller is never loaded. So no mount can name it, `all` leaves it out, and its files are nowhere.
//! `/proc/cgroups` still has its line, with 0 in the column `enabled`.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_module::loader::search;
use penfold_subsystems::NAMES;

use crate::failure::Failure;
use crate::service::Service;

/// Checks names for [`Daemon::prepare_without`](crate::daemon::Daemon::prepare_without).
///
/// # Errors
/// `EINVAL` for a name that is neither a controller of penfold nor that of a module on the search path. The message
/// lists the names that there are.
pub fn must_be_controllers(names: &[String]) -> Result<(), Failure> {
    let known = |name: &str| NAMES.contains(&name) || search::find(name).is_ok();
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(unknown) => {
            let detail =
                format!("no such controller; there are {} and modules on the search path", NAMES.join(", "));
            Err(Failure::new(ErrorKind::InvalidArgument, Errno::EINVAL, unknown.as_str(), detail))
        }
    }
}

impl Service {
    /// The names of disabled controllers.
    pub(crate) fn disabled(&self) -> &[String] {
        self.modules().disabled.get().map_or(&[], Vec::as_slice)
    }

    /// Whether a controller is disabled.
    pub(crate) fn is_disabled(&self, name: &str) -> bool {
        self.disabled().iter().any(|disabled| disabled == name)
    }

    /// Checks that a controller may be loaded.
    ///
    /// # Errors
    /// `EPERM` if it is disabled.
    pub(crate) fn must_be_enabled(&self, name: &str) -> Result<(), Failure> {
        if !self.is_disabled(name) {
            return Ok(());
        }
        let detail = "disabled by --disable of the daemon; start the daemon without it";
        Err(Failure::new(ErrorKind::NotPermitted, Errno::EPERM, name, detail))
    }
}

/// The text of `/proc/cgroups` with a line for each of the `disabled` controllers: penfold's own in their usual place,
/// the others at the end.
pub(crate) fn with_disabled(text: String, disabled: &[String]) -> String {
    if disabled.is_empty() {
        return text;
    }
    let place = |name: &str| NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for name in disabled {
        let after = |line: &String| place(line.split('\t').next().unwrap_or_default()) > place(name);
        // the first line is the heading
        let index = lines.iter().skip(1).position(after).map_or(lines.len(), |index| index + 1);
        lines.insert(index, format!("{name}\t0\t1\t0"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_controllers_have_their_usual_place() {
        let text =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t1\t2\t1\ndebug\t0\t1\t1\nown\t0\t1\t1\n";
        assert_eq!(with_disabled(text.to_owned(), &[]), text);
        let disabled = ["pids", "other", "cpuacct"].map(str::to_owned);
        let shown = with_disabled(text.to_owned(), &disabled);
        let names: Vec<&str> = shown.lines().skip(1).map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(names, ["cpuset", "cpuacct", "pids", "debug", "own", "other"]);
        assert!(shown.contains("\npids\t0\t1\t0\n") && shown.ends_with("other\t0\t1\t0\n"));
    }

    #[test]
    fn unknown_name_is_answered_with_those_that_there_are() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(must_be_controllers(&names(&["pids", "net_cls", "debug"])).is_ok());
        let failure = must_be_controllers(&names(&["pids", "memory"])).unwrap_err();
        assert_eq!((failure.errno, failure.subject.as_str()), (Errno::EINVAL, "memory"));
        assert!(failure.detail.contains("cpuset, cpuacct, freezer, net_cls, pids, numtasks, debug"));
    }
}
