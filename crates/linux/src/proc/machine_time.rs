//! The CPU time of the whole machine, from `/proc/stat`.

use penfold_core::subsystem::{CpuTime, CpuUsage};

/// Nanoseconds of a tick of `USER_HZ`.
const TICK: u64 = 10_000_000;

/// The CPU time of all tasks and interrupts since boot, for the CPUs below `cpu_limit`, in steps of 1/100 s.
///
/// The parts are those of the kernel's root cgroup of cpuacct: user and nice, and system, irq and softirq. Idle and
/// stolen time is no part. `None` if `/proc/stat` can't be read.
pub fn machine_time(cpu_limit: usize) -> Option<CpuUsage> {
    parse(&super::text("/proc/stat")?, cpu_limit)
}

fn parse(text: &str, cpu_limit: usize) -> Option<CpuUsage> {
    let mut times: Vec<Option<CpuTime>> = vec![None; cpu_limit];
    let mut all = None;
    for line in text.lines() {
        let Some((cpu, fields)) = line.strip_prefix("cpu").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let ticks: Vec<u64> =
            fields.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
        let &[user, nice, system, _idle, _iowait, irq, softirq, ..] = &*ticks else { return None };
        let time = CpuTime { user: (user + nice) * TICK, system: (system + irq + softirq) * TICK };
        if cpu.is_empty() {
            all = Some(time);
        } else if let Some(place) = times.get_mut(cpu.parse::<usize>().ok()?) {
            *place = Some(time);
        }
    }
    let mut rest = all?;
    for time in times.iter().flatten() {
        rest.user = rest.user.saturating_sub(time.user);
        rest.system = rest.system.saturating_sub(time.system);
    }
    // A CPU that is offline has no line, but the first line has its time. Without it the sum would go back.
    if let Some(offline) = times.iter_mut().find(|time| time.is_none()) {
        *offline = Some(rest);
    }
    Some(times.into_iter().map(Option::unwrap_or_default).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cpu  30 5 18 900 7 3 4 50 2 1\ncpu0 10 1 6 400 3 1 1 20 1 0\ncpu2 15 3 8 500 4 1 2 30 1 1\nintr 5 1\n";

    #[test]
    fn offline_cpu_keeps_its_time_of_the_sum() {
        let used = parse(TEXT, 4).expect("it is well formed");
        let time = |user: u64, system: u64| CpuTime { user: user * TICK, system: system * TICK };
        assert_eq!([0, 1, 2, 3].map(|cpu| used.on(cpu)), [time(11, 8), time(6, 6), time(18, 11), time(0, 0)]);
        assert_eq!(used.total(), time(35, 25));
    }

    #[test]
    fn machine_time_never_goes_back() {
        let limit = std::thread::available_parallelism().expect("it is known").get();
        let (before, after) = (machine_time(limit), machine_time(limit));
        let total = |used: Option<CpuUsage>| used.expect("procfs").total().total();
        assert!(total(before) <= total(after));
    }
}
