//! The operations that are measured.

use std::io;
use std::time::Duration;

use crate::served::measure::{Pace, Ways, in_turns, time};
use crate::served::report::ServedRow;
use crate::served::sleeping_threads::SleepingThreads;
use crate::served::way::BenchHierarchy;

/// Cgroups in the directory that is listed.
pub const LISTED: usize = 1_000;
/// Threads in the cgroup whose `tasks` is read.
pub const THREADS: usize = 10_000;

/// Makes the cgroups for the operations. The file view and the socket show the same cgroups, so these are made once for
/// the second and the third way.
///
/// # Errors
/// As [`Way::mkdir`](crate::served::way::Way::mkdir).
pub fn prepare(ways: &mut Ways<'_>) -> io::Result<()> {
    for way in &mut ways[..2] {
        for name in ["one", "other"] {
            way.mkdir(BenchHierarchy::Pids, name)?;
        }
        way.mkdir(BenchHierarchy::Named, "full")?;
        for number in 0..LISTED {
            way.mkdir(BenchHierarchy::Named, &format!("full/c{number:04}"))?;
        }
    }
    Ok(())
}

/// Moves the many threads in, which penfold supervises from then on.
///
/// # Errors
/// As [`Way::mkdir`](crate::served::way::Way::mkdir) and [`Way::attach`](crate::served::way::Way::attach).
pub fn fill(ways: &mut Ways<'_>, sleepers: &SleepingThreads) -> io::Result<()> {
    for way in &mut ways[..2] {
        way.mkdir(BenchHierarchy::Pids, "sleepers")?;
        way.attach("sleepers", sleepers.pid(), true)?;
    }
    Ok(())
}

/// Measures everything whose name contains `only`, for at most that time each, before [`fill`].
///
/// # Errors
/// When an operation fails, or an answer has the wrong length: then the figure would be of something else.
pub fn measure(
    ways: &mut Ways<'_>,
    moved: [u32; 2],
    only: &str,
    time: Duration,
) -> io::Result<Vec<ServedRow>> {
    let hot = Pace { turns: 400, batch: 16, rest: Duration::ZERO, time };
    let cold = Pace { turns: 40, batch: 1, rest: Duration::from_millis(100), time: time * 4 };
    let long = Pace { turns: 100, batch: 2, rest: Duration::ZERO, time };
    let wanted = |name: &str| name.contains(only);
    let mut rows = Vec::new();
    for (name, pace) in [("nothing, hot", hot), ("nothing, after 100 ms", cold)] {
        if wanted(name) {
            let times = in_turns(ways, pace, |way, _, _| Ok([self::time(|| way.ask_nothing())?]))?;
            rows.push(ServedRow::new(name, &times, 0));
        }
    }
    if wanted("mkdir, rmdir, no controller") {
        rows.extend(directories(ways, hot, BenchHierarchy::Named, "no controller")?);
    }
    if wanted("mkdir, rmdir, pids") {
        rows.extend(directories(ways, hot, BenchHierarchy::Pids, "pids")?);
    }
    if wanted("attach, hot") {
        rows.push(attach(ways, hot, moved, "attach, hot")?);
    }
    if wanted("attach, after 100 ms") {
        rows.push(attach(ways, cold, moved, "attach, after 100 ms")?.aimed(None, Some(1.0 / 300.0)));
    }
    if wanted("read pids.current") {
        rows.push(read(ways, hot, ("one", "pids.current"), 1..3, "read pids.current")?);
    }
    if wanted("list 1,000") {
        let times = in_turns(ways, long, |way, _, _| {
            let mut found = 0;
            let taken = self::time(|| way.list(BenchHierarchy::Named, "full").map(|count| found = count))?;
            must_be(found == LISTED, found, "cgroups listed")?;
            Ok([taken])
        })?;
        rows.push(ServedRow::new("list 1,000", &times, 0).aimed(Some(3.0), None));
    }
    Ok(rows)
}

/// Measures with the many threads: how long a read of their `tasks` takes, and an attach beside them.
///
/// # Errors
/// As [`measure`].
pub fn measure_filled(
    ways: &mut Ways<'_>,
    moved: [u32; 2],
    only: &str,
    time: Duration,
) -> io::Result<Vec<ServedRow>> {
    let pace = Pace { turns: 100, batch: 2, rest: Duration::ZERO, time };
    let wanted = |name: &str| name.contains(only);
    let mut rows = Vec::new();
    if wanted("read 10,000 tasks") {
        let length = 2 * THREADS..8 * THREADS + 1;
        rows.push(read(ways, pace, ("sleepers", "tasks"), length, "read 10,000 tasks")?);
    }
    if wanted("attach, beside 10,000") {
        rows.push(attach(ways, pace, moved, "attach, beside 10,000")?);
    }
    Ok(rows)
}

/// mkdir and rmdir of the same cgroup, timed one by one.
fn directories(
    ways: &mut Ways<'_>,
    pace: Pace,
    hierarchy: BenchHierarchy,
    of: &str,
) -> io::Result<[ServedRow; 3]> {
    let times = in_turns(ways, pace, |way, _, number| {
        let name = format!("new{number}");
        let failed = |what| move |error| io::Error::other(format!("{what}, {of}: {error}"));
        let made = time(|| way.mkdir(hierarchy, &name)).map_err(failed("mkdir"))?;
        let removed = time(|| way.rmdir(hierarchy, &name)).map_err(failed("rmdir"))?;
        Ok([made, removed, made + removed])
    })?;
    Ok([
        ServedRow::new(&format!("mkdir, {of}"), &times, 0).aimed(Some(3.0), None),
        ServedRow::new(&format!("rmdir, {of}"), &times, 1).aimed(Some(3.0), None),
        ServedRow::new(&format!("mkdir+rmdir, {of}"), &times, 2).aimed(Some(3.0), Some(1.0)),
    ])
}

/// Moves a thread to and fro. The kernel's is another one than penfold's, which is traced.
fn attach(ways: &mut Ways<'_>, pace: Pace, moved: [u32; 2], name: &str) -> io::Result<ServedRow> {
    let times = in_turns(ways, pace, |way, at, number| {
        // with one operation in a turn both of penfold's ways have the same number: each moves it
        let to = if (number + at / 2).is_multiple_of(2) { "one" } else { "other" };
        Ok([time(|| way.attach(to, moved[usize::from(at > 0)], false))?])
    })?;
    Ok(ServedRow::new(name, &times, 0))
}

/// Reads a file whole.
fn read(
    ways: &mut Ways<'_>,
    pace: Pace,
    (cgroup, file): (&str, &str),
    length: std::ops::Range<usize>,
    name: &str,
) -> io::Result<ServedRow> {
    let times = in_turns(ways, pace, |way, _, _| {
        let mut bytes = 0;
        let taken = time(|| way.read(cgroup, file).map(|read| bytes = read))?;
        must_be(length.contains(&bytes), bytes, "bytes read")?;
        Ok([taken])
    })?;
    Ok(ServedRow::new(name, &times, 0))
}

fn must_be(right: bool, count: usize, what: &str) -> io::Result<()> {
    if right { Ok(()) } else { Err(io::Error::other(format!("{count} {what}, which is wrong"))) }
}
