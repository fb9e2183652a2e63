//! `/proc/PID/status` and `/proc/PID/comm`.

use std::ops::Range;

use penfold_core::Tid;

/// Bits of `CapEff` and its like, as in capabilities(7).
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_SYS_NICE: u64 = 1 << 23;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// The umask that is assumed where the kernel does not show it (before Linux 4.7).
const USUAL_UMASK: u32 = 0o022;

/// How a task's system calls are filtered: the field `Seccomp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeccompMode {
    /// Not at all.
    Disabled,
    /// Only read(2), write(2), `_exit(2)` and sigreturn(2) are permitted.
    Strict,
    /// By one or more programs.
    Filter,
    /// By a mode that is newer than this program.
    Other(u32),
}

/// A `/proc/PID/status`, read once. Each method returns one field, `None` where the kernel has not written it.
#[derive(Debug, Clone)]
pub struct StatusFile {
    text: String,
    /// Name and value of each line in `text`. Split once: a listing needs eleven fields of every task.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl StatusFile {
    /// The status of a task.
    pub fn read(task: Tid) -> Option<StatusFile> {
        (task.0 > 0).then(|| super::text(&format!("/proc/{task}/status")).map(StatusFile::parse))?
    }

    /// The status of this process, also where `/proc` is that of another pid namespace.
    pub fn own() -> Option<StatusFile> {
        super::text("/proc/self/status").map(StatusFile::parse)
    }

    fn parse(text: String) -> StatusFile {
        let mut fields = Vec::with_capacity(64);
        let mut start = 0;
        // the kernel writes a newline in a command name as `\n`, so a line is a field
        for line in text.split('\n') {
            if let Some(colon) = line.find(':') {
                fields.push((start..start + colon, start + colon + 1..start + line.len()));
            }
            start += line.len() + 1;
        }
        StatusFile { text, fields }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(other, _)| &self.text[other.clone()] == name)?;
        Some(self.text[value.clone()].trim())
    }

    fn task(&self, name: &str) -> Option<Tid> {
        self.field(name)?.parse().ok().map(Tid)
    }

    fn bits(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 16).ok()
    }

    fn four(&self, name: &str) -> Option<[u32; 4]> {
        let mut ids = self.field(name)?.split_whitespace().map(|id| id.parse().ok());
        Some([ids.next()??, ids.next()??, ids.next()??, ids.next()??])
    }

    /// The command name, at most 15 bytes; backslash and newline are written `\\` and `\n`.
    pub fn command(&self) -> Option<&str> {
        self.field("Name")
    }

    /// The state letter of proc(5), such as `Z`.
    pub fn state(&self) -> Option<char> {
        self.field("State")?.chars().next()
    }

    /// The thread group.
    pub fn group(&self) -> Option<Tid> {
        self.task("Tgid")
    }

    /// The parent process; 0 for one outside of this pid namespace.
    pub fn parent(&self) -> Option<Tid> {
        self.task("PPid")
    }

    /// The tracing thread; `None` also when there is none.
    pub fn tracer(&self) -> Option<Tid> {
        self.task("TracerPid").filter(|tracer| tracer.0 != 0)
    }

    /// Whether the field of the tracer says that there is none; `None` where it can't be read.
    pub fn is_untraced(&self) -> Option<bool> {
        self.task("TracerPid").map(|tracer| tracer.0 == 0)
    }

    /// Real, effective, saved and file system user id.
    pub fn uids(&self) -> Option<[u32; 4]> {
        self.four("Uid")
    }

    /// Real, effective, saved and file system group id.
    pub fn gids(&self) -> Option<[u32; 4]> {
        self.four("Gid")
    }

    /// The supplementary groups.
    pub fn groups(&self) -> Option<Vec<u32>> {
        let groups = self.field("Groups")?.split_whitespace();
        Some(groups.filter_map(|group| group.parse().ok()).collect())
    }

    /// The bits that open(2) and mkdir(2) clear (since Linux 4.7).
    pub fn umask(&self) -> Option<u32> {
        u32::from_str_radix(self.field("Umask")?, 8).ok()
    }

    /// The number of the task in each pid namespace from this one inwards (since Linux 4.1).
    pub fn numbers(&self) -> Option<Vec<i32>> {
        let numbers = self.field("NSpid")?.split_whitespace();
        Some(numbers.filter_map(|number| number.parse().ok()).collect())
    }

    /// Whether the task has memory of a program. Kernel threads, zombies and dying tasks have none.
    pub fn has_memory(&self) -> bool {
        self.field("VmSize").is_some()
    }

    /// Whether the task has switched transparent huge pages off (`PR_SET_THP_DISABLE`). False before Linux 5.0.
    pub fn huge_pages_off(&self) -> bool {
        self.field("THP_enabled") == Some("0")
    }

    /// Whether the task is part of the kernel. Before Linux 6.8 a task without memory counts as one, unless it is a
    /// zombie.
    pub fn is_kernel_thread(&self) -> Option<bool> {
        let memoryless = || Some(!self.is_exiting()? && !self.has_memory());
        self.field("Kthread").map_or_else(memoryless, |value| Some(value == "1"))
    }

    /// Whether the task has ended: it waits to be reaped, or is about to vanish.
    pub fn is_exiting(&self) -> Option<bool> {
        Some(matches!(self.state()?, 'Z' | 'X'))
    }

    /// The effective capabilities, a bit each.
    pub fn effective_capabilities(&self) -> Option<u64> {
        self.bits("CapEff")
    }

    /// The permitted capabilities, a bit each.
    pub fn permitted_capabilities(&self) -> Option<u64> {
        self.bits("CapPrm")
    }

    /// The bounding set: the capabilities that execve(2) can give at most, a bit each.
    pub fn bounding_capabilities(&self) -> Option<u64> {
        self.bits("CapBnd")
    }

    /// Whether the task may set the affinity of other users' tasks: `CAP_SYS_NICE`.
    pub(crate) fn may_set_affinity(&self) -> bool {
        self.effective_capabilities().is_some_and(|bits| bits & CAP_SYS_NICE != 0)
    }

    /// Whether the task has `CAP_SYS_ADMIN` in its user namespace.
    pub(crate) fn may_administer(&self) -> bool {
        self.effective_capabilities().is_some_and(|bits| bits & CAP_SYS_ADMIN != 0)
    }

    /// Whether execve(2) gives no new privileges (since Linux 4.10).
    pub fn no_new_privileges(&self) -> Option<bool> {
        Some(self.field("NoNewPrivs")? == "1")
    }

    /// How system calls are filtered. A kernel without seccomp has no such field.
    pub fn seccomp(&self) -> Option<SeccompMode> {
        Some(match self.field("Seccomp")?.parse().ok()? {
            0 => SeccompMode::Disabled,
            1 => SeccompMode::Strict,
            2 => SeccompMode::Filter,
            other => SeccompMode::Other(other),
        })
    }

    /// How many seccomp filters the task has (since Linux 5.9).
    pub fn filters(&self) -> Option<u32> {
        self.field("Seccomp_filters")?.parse().ok()
    }

    /// Whether a signal is ignored.
    pub fn ignores(&self, signal: i32) -> Option<bool> {
        Some(self.bits("SigIgn")? & 1_u64.checked_shl(u32::try_from(signal).ok()?.checked_sub(1)?)? != 0)
    }
}

/// The facts of a task that a listing or a check of rights needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// The task.
    pub task: Tid,
    /// The thread group.
    pub group: Tid,
    /// Real, effective, saved and file system user id.
    pub uids: [u32; 4],
    /// Real, effective, saved and file system group id.
    pub gids: [u32; 4],
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The bits that open(2) and mkdir(2) clear.
    pub umask: u32,
    /// The effective capabilities, a bit each.
    pub capabilities: u64,
    /// The number in each pid namespace from this one inwards.
    pub numbers: Vec<i32>,
    /// Whether the task is part of the kernel.
    pub kernel_thread: bool,
    /// Whether the task has ended and waits for its parent, or is about to vanish.
    pub exiting: bool,
    /// The command name, at most 15 bytes.
    pub command: String,
}

impl TaskStatus {
    /// The facts of a task; `None` also where the kernel leaves out one of those that every kernel has.
    pub fn read(task: Tid) -> Option<TaskStatus> {
        TaskStatus::of(task, &StatusFile::read(task)?)
    }

    fn of(task: Tid, file: &StatusFile) -> Option<TaskStatus> {
        Some(TaskStatus {
            task,
            group: file.group()?,
            uids: file.uids()?,
            gids: file.gids()?,
            groups: file.groups()?,
            umask: file.umask().unwrap_or(USUAL_UMASK),
            capabilities: file.effective_capabilities().unwrap_or(0),
            numbers: file.numbers().unwrap_or_else(|| vec![task.0]),
            kernel_thread: file.is_kernel_thread()?,
            exiting: file.is_exiting()?,
            command: file.command()?.to_owned(),
        })
    }

    /// Whether the task has the capabilities that a cgroup file system asks for: `CAP_SYS_ADMIN` and `CAP_DAC_OVERRIDE`.
    pub fn is_administrator(&self) -> bool {
        let both = CAP_DAC_OVERRIDE | CAP_SYS_ADMIN;
        self.capabilities & both == both
    }
}

/// Whether a task is seen to have no seccomp filter; false where that can't be read.
pub(crate) fn has_no_filter(task: Tid) -> bool {
    StatusFile::read(task).and_then(|status| status.seccomp()) == Some(SeccompMode::Disabled)
}

/// The command name of a task as in `/proc/PID/comm`, at most 15 bytes; empty where it can't be read.
pub fn command_name(task: Tid) -> String {
    let name = super::text(&format!("/proc/{task}/comm")).unwrap_or_default();
    name.strip_suffix('\n').unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Namespace, all_tasks, namespace_of, own};
    use super::*;

    /// As Linux 6.18 writes it, in part.
    const STATUS: &str = "Name:\ta: b\\n(c) \nUmask:\t0027\nState:\tS (sleeping)\nTgid:\t70\nNgid:\t0\nPid:\t71\nPPid:\t1\n\
        TracerPid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t4 24 \nNStgid:\t70\t2\nNSpid:\t71\t3\n\
        Kthread:\t0\nVmSize:\t    1000 kB\nSigIgn:\t0000000000001001\nCapPrm:\t00000000000000ff\n\
        CapEff:\t0000000000200002\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";

    fn parse(text: &str) -> StatusFile {
        StatusFile::parse(text.to_owned())
    }

    /// The status without the line of this field.
    fn without(name: &str) -> StatusFile {
        let line = |line: &&str| !line.starts_with(&format!("{name}:"));
        parse(&STATUS.split_inclusive('\n').filter(line).collect::<String>())
    }

    #[test]
    fn every_field_is_read() {
        let file = parse(STATUS);
        assert_eq!((file.group(), file.parent(), file.tracer()), (Some(Tid(70)), Some(Tid(1)), Some(Tid(9))));
        assert_eq!((file.uids(), file.gids()), (Some([1, 2, 3, 4]), Some([5, 6, 7, 8])));
        assert_eq!((file.groups(), file.numbers()), (Some(vec![4, 24]), Some(vec![71, 3])));
        assert_eq!((file.state(), file.umask(), file.is_untraced()), (Some('S'), Some(0o027), Some(false)));
        assert_eq!((file.seccomp(), file.filters()), (Some(SeccompMode::Filter), Some(3)));
        assert_eq!(
            (file.permitted_capabilities(), file.bounding_capabilities()),
            (Some(0xff), Some((1 << 41) - 1))
        );
        assert_eq!(file.no_new_privileges(), Some(true));
        assert_eq!(
            (file.ignores(1), file.ignores(2), file.ignores(13)),
            (Some(true), Some(false), Some(true))
        );
        assert_eq!((file.ignores(0), file.ignores(-1), file.ignores(65)), (None, None, None));
    }

    #[test]
    fn odd_command_names_change_no_other_field() {
        for name in ["a: b\\n(c)", "Tgid:\t1", ":", "", "\u{fffd}\u{fffd}", "State:\tZ"] {
            let file = parse(&STATUS.replace("a: b\\n(c) ", name));
            assert_eq!((file.command(), file.group(), file.state()), (Some(name), Some(Tid(70)), Some('S')));
        }
    }

    #[test]
    fn truncated_status_is_missing_fields_not_wrong_ones() {
        for length in 0..STATUS.len() {
            let file = parse(&STATUS[..length]);
            assert!(file.group().is_none_or(|group| [7, 70].contains(&group.0)), "{length}");
            assert!(file.uids().is_none_or(|uids| uids == [1, 2, 3, 4]), "{length}");
            let _ = TaskStatus::of(Tid(71), &file);
        }
        assert!(TaskStatus::of(Tid(71), &parse("")).is_none());
        assert!(parse("Tgid\nTgid: x\nUid:\t1\t2\nSeccomp:\t\n").group().is_none());
    }

    #[test]
    fn older_kernels_leave_fields_out() {
        let facts = |file: &StatusFile| TaskStatus::of(Tid(71), file);
        assert_eq!(facts(&without("Umask")).unwrap().umask, 0o022);
        assert_eq!(facts(&without("NSpid")).unwrap().numbers, [71]);
        assert!(!facts(&without("Kthread")).unwrap().kernel_thread, "it has memory");
        assert_eq!(without("Seccomp").seccomp(), None);
        assert_eq!(without("Uid").uids(), None);
        assert!(facts(&without("Tgid")).is_none());
        let kernels =
            "Name:\tkworker/0:1\nState:\tI (idle)\nTgid:\t5\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n";
        assert!(facts(&parse(kernels)).unwrap().kernel_thread, "it has none");
        let zombie = facts(&parse(&kernels.replace("I (idle)", "Z (zombie)"))).unwrap();
        assert!(zombie.exiting && !zombie.kernel_thread);
    }

    #[test]
    fn administrator_has_both_capabilities() {
        let with = |mask: &str| {
            let file = parse(&STATUS.replace("0000000000200002", mask));
            TaskStatus::of(Tid(71), &file).unwrap().is_administrator()
        };
        assert!(with("0000000000200002") && with("000001ffffffffff"));
        assert!(!with("0000000000200000") && !with("0000000000000002") && !with("x"));
    }

    #[test]
    fn this_process_is_as_the_system_calls_say() {
        let own = TaskStatus::read(own()).expect("it lives");
        assert_eq!(own.group, own.task);
        assert_eq!(own.uids[1], nix::unistd::geteuid().as_raw());
        assert_eq!(own.gids[1], nix::unistd::getegid().as_raw());
        assert_eq!(own.numbers.first(), Some(&own.task.0));
        assert!(!own.kernel_thread && !own.exiting);
        assert!(all_tasks().contains(&own.task));
        let thread = Tid(nix::unistd::gettid().as_raw());
        assert_eq!(namespace_of(own.task, Namespace::Pid), namespace_of(thread, Namespace::Pid));
        assert_eq!(command_name(own.task).is_empty(), own.command.is_empty());
    }

    #[test]
    fn task_that_does_not_exist_is_none() {
        assert_eq!(TaskStatus::read(Tid(0)), None);
        assert_eq!(TaskStatus::read(Tid(-1)), None);
        assert_eq!(TaskStatus::read(Tid(i32::MAX)), None);
        assert_eq!(command_name(Tid(i32::MAX)), "");
    }
}
