//! The parts of texts of /proc, from the kernel or penfold, that belong to one run.

/// Controllers that distributions leave unbound and that scenarios therefore mount themselves.
const FREE: [&str; 3] = ["net_cls", "perf_event", "net_prio"];

/// The [`FREE`] controllers in mount data.
pub(crate) fn free_controllers(data: &str) -> impl Iterator<Item = String> + '_ {
    data.split(',').filter(|word| FREE.contains(word)).map(String::from)
}

/// The lines of a `/proc/TID/cgroup` that belong to a run by its name or by its controllers, without ids.
pub(crate) fn cgroup_lines(text: &str, unique: &str, controllers: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(bound), Some(path)) = (parts.next(), parts.next()) else { continue };
        let ours = |name: &str| controllers.iter().any(|controller| controller == name);
        let ours = bound.contains(unique) || bound.split(',').any(ours);
        if ours {
            lines.push(format!("{bound}:{}", below_group(path, unique)));
        }
    }
    lines
}

/// A `/proc/TID/cpuset` without its newline.
pub(crate) fn cpuset(text: &str, unique: &str) -> String {
    below_group(text.trim_end_matches('\n'), unique)
}

/// Cuts the group of an opened controller from a path.
fn below_group(path: &str, unique: &str) -> String {
    let Some(rest) = path.strip_prefix(&format!("/{unique}_")) else { return path.into() };
    rest.find('/').map_or_else(|| "(top)".into(), |at| format!("(top){}", &rest[at..]))
}

/// The row of a controller in a `/proc/cgroups`: bound, number of groups, enabled.
pub(crate) fn cgroups_row(text: &str, controller: &str) -> Option<(bool, u32, bool)> {
    let row: Vec<&str> =
        text.lines().map(|l| l.split('\t').collect::<Vec<_>>()).find(|r| r[0] == controller)?;
    Some((row.get(1)? != &"0", row.get(2)?.parse().ok()?, row.get(3)? == &"1"))
}
