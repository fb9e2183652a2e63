//! What `/proc` tells of a process that is not supervised.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

/// A task as `/proc/PID/status` shows it, in the numbers of this process's pid namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The task.
    pub task: i32,
    /// Its thread group.
    pub group: i32,
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
    /// Its number in each pid namespace from this one inwards.
    pub numbers: Vec<i32>,
    /// It is part of the kernel.
    pub kernel_thread: bool,
    /// It has ended and waits for its parent, or is about to.
    pub exiting: bool,
    /// The command name, at most 15 bytes.
    pub command: String,
}

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Bytes; a status has about 1,500.
const LONGER_THAN_MOST: usize = 4096;

impl Process {
    /// Reads it; `None` if there is no such task. It may be another's number by the time that the answer is used.
    pub fn read(task: i32) -> Option<Process> {
        if task <= 0 {
            return None;
        }
        let text = text_of(&format!("/proc/{task}/status"))?;
        // split once: a root's list reads this of every task of the machine
        let fields: Vec<(&str, &str)> = text.split('\n').filter_map(|line| line.split_once(":\t")).collect();
        let field =
            |name: &str| fields.iter().find(|(other, _)| *other == name).map(|(_, value)| value.trim());
        let four = |name| {
            let mut ids = field(name)?.split_whitespace().map(|id| id.parse().ok());
            Some([ids.next()??, ids.next()??, ids.next()??, ids.next()??])
        };
        let state = field("State")?;
        Some(Process {
            task,
            group: field("Tgid")?.parse().ok()?,
            uids: four("Uid")?,
            gids: four("Gid")?,
            groups: field("Groups")?.split_whitespace().filter_map(|group| group.parse().ok()).collect(),
            umask: field("Umask").and_then(|mask| u32::from_str_radix(mask, 8).ok()).unwrap_or(0o022),
            capabilities: field("CapEff").and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0),
            numbers: field("NSpid")
                .map_or(vec![task], |line| line.split_whitespace().filter_map(|n| n.parse().ok()).collect()),
            // kernels before 6.8 have no such line; no memory of its own means the same but for zombies
            kernel_thread: field("Kthread")
                .map_or(!state.starts_with(['Z', 'X']) && field("VmSize").is_none(), |value| value == "1"),
            exiting: state.starts_with(['Z', 'X']),
            command: field("Name")?.to_owned(),
        })
    }

    /// Has it the capabilities that a cgroup file system asks for: `CAP_SYS_ADMIN` and `CAP_DAC_OVERRIDE`?
    pub fn is_administrator(&self) -> bool {
        let both = CAP_DAC_OVERRIDE | CAP_SYS_ADMIN;
        self.capabilities & both == both
    }
}

/// When a process or thread was started, in ticks (1/100 s) since boot: with its number, who it is. `None` if there is
/// none.
pub fn start_time(task: i32) -> Option<u64> {
    // field 22 of proc(5)
    stat_field(task, 22)?.parse().ok()
}

/// The parent process of a process.
pub fn parent_of(pid: i32) -> Option<i32> {
    stat_field(pid, 4)?.parse().ok()
}

/// The state letter of proc(5), such as `Z`, and the task that traces it; 0 for none.
pub fn state_of(task: i32) -> Option<(char, i32)> {
    let text = text_of(&format!("/proc/{task}/status"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("State:")?.chars().next()?, field("TracerPid:")?.parse().ok()?))
}

/// A whole file of `/proc`, also where a command name in it is no UTF-8. They say that their size is 0, for which
/// `fs::read` makes three times as many system calls.
pub(crate) fn text_of(path: &str) -> Option<String> {
    let mut text = Vec::with_capacity(LONGER_THAN_MOST);
    File::open(path).ok()?.take(u64::MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8(text).unwrap_or_else(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()))
}

/// A field of `/proc/PID/stat`, counted as in proc(5); not the command name.
fn stat_field(task: i32, number: usize) -> Option<String> {
    let text = text_of(&format!("/proc/{task}/stat"))?;
    // the name may contain anything, also parentheses
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split_whitespace().nth(number - 3).map(str::to_owned)
}

/// Every task of the machine that this process can see, zombies too, ascending.
pub fn all_tasks() -> Vec<i32> {
    let numbers = |path: &str| -> Vec<i32> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    };
    let mut tasks: Vec<i32> =
        numbers("/proc").into_iter().flat_map(|pid| numbers(&format!("/proc/{pid}/task"))).collect();
    tasks.sort_unstable();
    tasks
}

/// Which pid namespace a process sees, as [`namespace_of`].
pub fn pid_namespace(pid: i32) -> Option<u64> {
    namespace_of(pid, "pid")
}

/// The namespace that a process is in, by its kind as in `/proc/PID/ns`: the same number for the same namespace. `None`
/// when the process is gone or not ours to look at.
pub fn namespace_of(pid: i32, kind: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok().map(|namespace| namespace.ino())
}

/// Sends a signal of any number, real-time ones too, to a process.
///
/// # Errors
/// What kill(2) gives; `ESRCH` for what is no process id, so that no group can be hit.
pub fn send_signal(pid: i32, signal: i32) -> Result<(), Errno> {
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_what_the_system_calls_say() {
        let own = Process::read(std::process::id().cast_signed()).expect("it lives");
        assert_eq!(own.group, own.task);
        assert_eq!(own.uids[1], nix::unistd::geteuid().as_raw());
        assert_eq!(own.gids[1], nix::unistd::getegid().as_raw());
        assert_eq!(own.numbers.first(), Some(&own.task));
        assert!(!own.kernel_thread && !own.exiting);
        assert!(all_tasks().contains(&own.task));
        assert_eq!(pid_namespace(own.task), pid_namespace(nix::unistd::gettid().as_raw()));
    }

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(Process::read(0), None);
        assert_eq!(Process::read(-1), None);
        assert_eq!(Process::read(i32::MAX), None);
    }
}
