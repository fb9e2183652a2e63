//! Files of `/proc` that are about no task: the boot, the load, a setting of the kernel.

/// The facts of `/proc/loadavg` about tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadAverage {
    /// How many tasks the machine has, in all pid namespaces.
    pub tasks: u64,
    /// The number that a task got last in the pid namespace of `/proc`. That task may have ended.
    pub last_pid: i32,
}

/// The present load.
pub fn load_average() -> Option<LoadAverage> {
    load_in(&super::text("/proc/loadavg")?)
}

/// Such as `0.20 0.18 0.12 1/80 11206`: three averages, runnable and all tasks, the last number.
fn load_in(text: &str) -> Option<LoadAverage> {
    let mut fields = text.split_whitespace().skip(3);
    let tasks = fields.next()?.split_once('/')?.1.parse().ok()?;
    Some(LoadAverage { tasks, last_pid: fields.next()?.parse().ok()? })
}

/// A number that no other boot of any machine has, such as `a7c1b7e1-…`.
pub fn boot_id() -> Option<String> {
    Some(super::text("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The processes that may trace under Yama: 0 any of the same user, 1 an ancestor, 2 root's, 3 none. `None` without
/// Yama.
pub(crate) fn yama_ptrace_scope() -> Option<u32> {
    super::text("/proc/sys/kernel/yama/ptrace_scope")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_has_five_fields() {
        assert_eq!(load_in("0.20 0.18 0.12 1/80 11206\n"), Some(LoadAverage { tasks: 80, last_pid: 11206 }));
        for odd in ["", "0.20 0.18 0.12", "0.20 0.18 0.12 1/80", "0.20 0.18 0.12 80 5", "a b c d/e f"] {
            assert_eq!(load_in(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn this_machine_has_a_boot_and_tasks() {
        assert_eq!(boot_id().map(|id| id.len()), Some(36));
        assert_eq!(boot_id(), boot_id());
        assert!(load_average().is_some_and(|load| load.tasks > 1 && load.last_pid > 0));
        assert!(yama_ptrace_scope().is_none_or(|scope| scope <= 3));
    }
}
