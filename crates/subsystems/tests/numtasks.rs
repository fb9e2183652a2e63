//! numtasks on the simulated host: the rules of F3, one a test.

use crate::subject::numtasks;
use penfold_core::{CgroupId, Errno, Event, Tid, host::Capability};
use penfold_testkit::SimWorld;

/// The controller under test, built in. `crates/subsystems/modules` runs the same tests with a module of that name.
#[allow(dead_code)]
mod subject {
    pub(crate) fn numtasks() -> penfold_subsystems::Numtasks {
        penfold_subsystems::Numtasks::default()
    }
}

const SECOND: u64 = 1_000_000_000;

/// A world of numtasks with a task in the root.
fn world() -> (SimWorld, Tid) {
    let mut w = SimWorld::with_controller(numtasks());
    let shell = w.spawn();
    (w, shell)
}

/// The operations that only the tests of numtasks need.
trait Stats {
    fn stats(&mut self, cgroup: CgroupId) -> [u64; 4];
    fn fork_until_refused(&mut self, parent: Tid) -> usize;
}

impl Stats for SimWorld {
    /// The four numbers of `stats`: usage, successes, failures, forkrate failures.
    fn stats(&mut self, cgroup: CgroupId) -> [u64; 4] {
        let text = self.read(cgroup, "stats");
        let numbers: Vec<u64> =
            text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }

    /// Forks until a fork is refused, and returns the number of children.
    fn fork_until_refused(&mut self, parent: Tid) -> usize {
        let forks = (0..10_000).take_while(|_| self.try_fork(parent).is_ok()).count();
        assert!(forks < 10_000, "never refused");
        assert_eq!(self.try_fork(parent), Err(Errno::EAGAIN));
        forks
    }
}

#[test]
fn defaults_and_formats() {
    let (mut w, _) = world();
    let g = w.mkdir(w.top, "g");
    for cgroup in [w.top, g] {
        assert_eq!(
            w.read(cgroup, "shares"),
            "res=numtasks,min_shares=-3,max_shares=-3,child_shares_divisor=100\n"
        );
    }
    assert_eq!(
        w.read(w.top, "stats"),
        "numtasks: Current usage 1\nnumtasks: Number of successes 1\nnumtasks: Number of failures 0\n\
         numtasks: Number of forkrate failures 0\n"
    );
    for (file, value) in
        [("total_numtasks", "2147483647\n"), ("forkrate", "2147483647\n"), ("forkrate_interval", "1\n")]
    {
        assert_eq!(w.read(w.top, file), value, "{file}");
        assert!(!w.has_file(g, file), "{file} is for the root only");
    }
}

#[test]
fn shares_are_taken_in_any_order_with_a_newline() {
    let (mut w, _) = world();
    let g = w.mkdir(w.top, "g");
    for (text, answer) in [
        ("res=numtasks,min_shares=5,max_shares=50\n", Ok(())),
        ("max_shares=60", Ok(())),
        (",,child_shares_divisor=0x80,,", Ok(())),
        ("min_shares=-1,res=anything", Ok(())),
        ("\n", Ok(())),
        ("res=a,res=b", Err(Errno::EINVAL)),
        ("res=", Err(Errno::EINVAL)),
        ("min_shares", Err(Errno::EINVAL)),
        ("min_shares=", Err(Errno::EINVAL)),
        ("min_shares=5x", Err(Errno::EINVAL)),
        ("min_shares=99999999999", Err(Errno::EINVAL)),
        ("limit=5", Err(Errno::EINVAL)),
    ] {
        assert_eq!(w.try_write(g, "shares", text), answer, "{text:?}");
    }
    assert_eq!(w.read(g, "shares"), "res=numtasks,min_shares=5,max_shares=60,child_shares_divisor=128\n");
    assert_eq!(w.try_write(g, "shares", "a".repeat(4096)), Err(Errno::E2BIG));
}

/// T14
#[test]
fn parent_guarantees_no_more_than_its_divisor() {
    let (mut w, _) = world();
    let (a, b) = (w.mkdir(w.top, "a"), w.mkdir(w.top, "b"));
    assert_eq!(w.try_write(a, "shares", "res=numtasks,min_shares=60"), Ok(()));
    assert_eq!(w.try_write(b, "shares", "res=numtasks,min_shares=60"), Err(Errno::EINVAL));
    assert_eq!(w.try_write(b, "shares", "min_shares=40"), Ok(()));
    assert_eq!(w.try_write(a, "shares", "min_shares=61"), Err(Errno::EINVAL));
    assert_eq!(w.try_write(a, "shares", "min_shares=30"), Ok(()), "less is always possible");
    assert_eq!(w.try_write(b, "shares", "min_shares=70"), Ok(()));
}

#[test]
fn removed_child_and_dont_care_give_the_guarantee_back() {
    let (mut w, _) = world();
    let (a, b) = (w.mkdir(w.top, "a"), w.mkdir(w.top, "b"));
    w.write(a, "shares", "min_shares=60,max_shares=90");
    assert_eq!(w.try_write(w.top, "shares", "child_shares_divisor=80"), Err(Errno::EINVAL));
    w.rmdir(a);
    assert_eq!(w.try_write(b, "shares", "min_shares=100"), Ok(()));
    w.write(b, "shares", "min_shares=-3");
    assert_eq!(w.try_write(w.top, "shares", "child_shares_divisor=1"), Ok(()));
}

/// T14
#[test]
fn shares_that_contradict_each_other_are_refused() {
    let (mut w, _) = world();
    let g = w.mkdir(w.top, "g");
    for text in [
        "max_shares=101",
        "min_shares=50,max_shares=40",
        "min_shares=-4",
        "max_shares=-7",
        "child_shares_divisor=-3",
    ] {
        assert_eq!(w.try_write(g, "shares", text), Err(Errno::EINVAL), "{text}");
    }
    w.write(g, "shares", "min_shares=60,max_shares=70");
    for text in ["child_shares_divisor=30", "child_shares_divisor=65"] {
        assert_eq!(w.try_write(w.top, "shares", text), Err(Errno::EINVAL), "{text}");
    }
    assert_eq!(w.try_write(w.top, "shares", "child_shares_divisor=70"), Ok(()));
    assert_eq!(
        w.try_write(w.top, "shares", "min_shares=1000,max_shares=2000"),
        Ok(()),
        "a root has no parent"
    );
}

#[test]
fn an_unsupported_share_never_changes_again() {
    let (mut w, _) = world();
    let g = w.mkdir(w.top, "g");
    w.write(g, "shares", "min_shares=-2");
    assert_eq!(w.try_write(g, "shares", "min_shares=5,max_shares=7"), Ok(()));
    assert_eq!(w.read(g, "shares"), "res=numtasks,min_shares=-2,max_shares=7,child_shares_divisor=100\n");
}

/// T14
#[test]
fn shares_bound_no_group_before_the_total_is_written() {
    let (mut w, shell) = world();
    let g = w.mkdir(w.top, "g");
    w.write(g, "shares", "max_shares=10");
    assert!(!w.engine.can_refuse_fork());
    let first = w.fork(shell);
    w.attach(g, first);
    for _ in 0..50 {
        w.fork(first);
    }
}

/// T14
#[test]
fn the_eleventh_task_of_a_tenth_of_100_is_refused() {
    let (mut w, shell) = world();
    let g = w.mkdir(w.top, "g");
    w.write(w.top, "total_numtasks", "100\n");
    w.write(g, "shares", "max_shares=10");
    let first = w.fork(shell);
    w.attach(g, first);
    assert_eq!(w.fork_until_refused(first), 9);
    assert_eq!(w.stats(g)[2], 2);
    assert_eq!(w.fork_until_refused(shell), 100 - 11, "the root holds the total");
}

#[test]
fn failure_by_an_ancestor_counts_in_the_forking_group() {
    let (mut w, shell) = world();
    let parent = w.mkdir(w.top, "p");
    let child = w.mkdir(parent, "c");
    w.write(w.top, "total_numtasks", "100");
    w.write(parent, "shares", "max_shares=5");
    let first = w.fork(shell);
    w.attach(child, first);
    assert_eq!(w.fork_until_refused(first), 4);
    assert_eq!((w.stats(child)[2], w.stats(parent)[2]), (2, 0));
}

#[test]
fn bounds_are_parts_of_parts_and_follow_every_change() {
    let (mut w, shell) = world();
    let parent = w.mkdir(w.top, "p");
    let child = w.mkdir(parent, "c");
    w.write(w.top, "total_numtasks", "1000");
    w.write(parent, "shares", "max_shares=10,child_shares_divisor=3");
    w.write(child, "shares", "max_shares=1");
    let first = w.fork(shell);
    w.attach(child, first);
    assert_eq!(w.fork_until_refused(first), 32, "1000 * 10 / 100 * 1 / 3, rounded down");
    w.write(w.top, "total_numtasks", "2000");
    assert_eq!(w.fork_until_refused(first), 66 - 33);
    w.write(w.top, "shares", "child_shares_divisor=50");
    assert_eq!(w.fork_until_refused(first), 133 - 66);
    w.write(parent, "shares", "max_shares=-3");
    for _ in 0..200 {
        w.try_fork(first).expect("a don't care above unbounds what is below");
    }
}

#[test]
fn unlimited_total_takes_all_bounds_away() {
    let (mut w, _) = world();
    let g = w.mkdir(w.top, "g");
    w.write(g, "shares", "max_shares=10");
    w.write(w.top, "total_numtasks", "100");
    assert!(w.engine.can_refuse_fork());
    w.write(w.top, "total_numtasks", "2147483647");
    assert!(!w.engine.can_refuse_fork());
}

#[test]
fn parameters_take_1_to_2147483647() {
    let (mut w, shell) = world();
    for file in ["total_numtasks", "forkrate", "forkrate_interval"] {
        let before = w.read(w.top, file);
        for text in ["0", "-1", "abc", "2147483648"] {
            assert_eq!(w.try_write(w.top, file, text), Err(Errno::EINVAL), "{file} {text}");
        }
        assert_eq!(w.read(w.top, file), before);
    }
    let g = w.mkdir(w.top, "g");
    for _ in 0..4 {
        let task = w.fork(shell);
        w.attach(g, task);
    }
    assert_eq!(w.try_write(w.top, "total_numtasks", "5"), Err(Errno::EINVAL), "five tasks in all");
    assert_eq!(w.try_write(w.top, "total_numtasks", "6"), Ok(()));
}

#[test]
fn forkrate_is_each_groups_own() {
    let (mut w, shell) = world();
    let g = w.mkdir(w.top, "g");
    w.write(w.top, "forkrate", "3");
    w.write(w.top, "forkrate_interval", "10");
    let first = w.fork(shell);
    w.attach(g, first);
    assert_eq!(w.fork_until_refused(first), 3);
    assert_eq!(w.fork_until_refused(shell), 2, "its own fork came before; those of its child don't count");
    w.host.clock += 10 * SECOND;
    assert_eq!(w.try_fork(first), Err(Errno::EAGAIN), "not older than the interval");
    w.host.clock += 1;
    assert_eq!(w.fork_until_refused(first), 3);
    assert_eq!(w.stats(g), [7, 0, 0, 5]);
}

#[test]
fn fork_that_the_rate_refuses_leaves_no_charge() {
    let (mut w, shell) = world();
    w.write(w.top, "total_numtasks", "4");
    w.write(w.top, "forkrate", "1");
    assert_eq!(w.fork_until_refused(shell), 1);
    w.write(w.top, "forkrate", "2147483647");
    assert_eq!(w.fork_until_refused(shell), 2);
    assert_eq!(w.stats(w.top), [4, 4, 2, 2]);
}

#[test]
fn write_of_rate_or_interval_starts_all_windows_anew() {
    let (mut w, shell) = world();
    let g = w.mkdir(w.top, "g");
    let first = w.fork(shell);
    w.attach(g, first);
    for (file, value) in [("forkrate", "2"), ("forkrate_interval", "5"), ("forkrate", "2")] {
        w.write(w.top, file, value);
        assert_eq!(w.fork_until_refused(first), 2, "{file}");
    }
}

#[test]
fn task_beyond_a_guarantee_is_borrowed() {
    let (mut w, shell) = world();
    let parent = w.mkdir(w.top, "p");
    let child = w.mkdir(parent, "c");
    w.write(w.top, "total_numtasks", "100");
    w.write(parent, "shares", "min_shares=20");
    w.write(child, "shares", "min_shares=10");
    let first = w.fork(shell);
    w.attach(child, first);
    let born = w.fork(first);
    assert_eq!(w.stats(child)[..2], [2, 2], "20 * 10 / 100 are its own");
    assert_eq!((w.stats(parent)[0], w.stats(w.top)[0]), (0, 1));
    let borrowed = w.fork(first);
    assert_eq!((w.stats(child)[..2].to_vec(), w.stats(parent)[..2].to_vec()), (vec![3, 2], vec![1, 1]));
    w.exit(born);
    assert_eq!((w.stats(child)[0], w.stats(parent)[0]), (2, 0), "the borrowed one goes first");
    w.attach(w.top, borrowed);
    assert_eq!((w.stats(child)[0], w.stats(parent)[0], w.stats(w.top)[0]), (1, 0, 2));
}

#[test]
fn task_without_a_guarantee_is_borrowed_from_the_root() {
    let (mut w, shell) = world();
    let parent = w.mkdir(w.top, "p");
    let child = w.mkdir(parent, "c");
    let first = w.fork(shell);
    w.attach(child, first);
    w.fork(first);
    assert_eq!((w.stats(child)[0], w.stats(parent)[0], w.stats(w.top)[0]), (2, 2, 3));
    assert_eq!((w.stats(child)[1], w.stats(parent)[1], w.stats(w.top)[1]), (0, 0, 4), "a move succeeds anew");
}

#[test]
fn move_is_never_refused() {
    let (mut w, shell) = world();
    let g = w.mkdir(w.top, "g");
    w.write(w.top, "total_numtasks", "100");
    w.write(g, "shares", "max_shares=1");
    for _ in 0..3 {
        let task = w.fork(shell);
        w.attach(g, task);
    }
    assert_eq!(w.stats(g)[0], 3);
}

#[test]
fn stats_have_no_reset() {
    let (mut w, _) = world();
    let before = w.stats(w.top);
    assert_eq!(w.try_write(w.top, "stats", "res=numtasks,all\n"), Ok(()));
    assert_eq!(w.try_write(w.top, "stats", "0"), Err(Errno::EINVAL));
    assert_eq!(w.stats(w.top), before);
}

#[test]
fn host_that_can_not_refuse_takes_no_bound_and_no_rate() {
    let (mut w, shell) = world();
    w.host.cannot = vec![Capability::ForkVeto];
    let g = w.mkdir(w.top, "g");
    assert_eq!(w.try_write(g, "shares", "min_shares=5,max_shares=10"), Ok(()), "nothing is bounded yet");
    assert_eq!(w.try_write(w.top, "total_numtasks", "100"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.try_write(w.top, "forkrate", "5"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(w.top, "total_numtasks"), "2147483647\n");
    assert_eq!(w.read(w.top, "forkrate"), "2147483647\n");
    assert!(!w.engine.can_refuse_fork());
    let task = w.fork(shell);
    w.attach(g, task);
    assert_eq!(w.stats(g)[1], 0, "its guarantee is still of no number of tasks: all is borrowed");
    w.host.cannot.clear();
    w.write(w.top, "total_numtasks", "100");
    w.host.cannot = vec![Capability::ForkVeto];
    let shares = w.read(g, "shares");
    assert_eq!(w.try_write(g, "shares", "min_shares=50,max_shares=80"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(g, "shares"), shares);
    let h = w.mkdir(w.top, "h");
    assert_eq!(w.try_write(h, "shares", "min_shares=95"), Ok(()), "the parent has its 95 parts back");
}

#[test]
fn host_has_to_refuse_only_with_a_bound_or_a_rate() {
    let (mut w, _) = world();
    assert!(!w.engine.can_refuse_fork(), "loaded, but no rate and no bound is set");
    w.write(w.top, "forkrate", "5");
    w.write(w.top, "forkrate", "6");
    assert!(w.engine.can_refuse_fork());
    w.write(w.top, "forkrate", "2147483647");
    assert!(!w.engine.can_refuse_fork());
    w.write(w.top, "forkrate", "5");
    w.write(w.top, "total_numtasks", "50");
    w.unmount(w.top);
    assert!(w.engine.can_refuse_fork(), "unbound, it still counts in its only group");
    w.unload("numtasks");
    assert!(!w.engine.can_refuse_fork());
}

#[test]
fn late_load_counts_the_tasks_that_exist() {
    let mut w = SimWorld::new();
    let shell = w.spawn();
    w.fork(shell);
    w.mount_controller(numtasks(), "numtasks");
    assert_eq!(w.stats(w.top)[0], 2);
    assert_eq!(w.try_write(w.top, "total_numtasks", "2"), Err(Errno::EINVAL));
}

#[test]
fn refusal_by_the_forkrate_is_an_event_that_names_it() {
    let (mut w, shell) = world();
    let g = w.mkdir(w.top, "g");
    w.write(w.top, "forkrate", "1");
    let task = w.fork(shell);
    w.attach(g, task);
    w.engine.watch(true);
    assert_eq!(w.fork_until_refused(task), 1);
    let hit = w.engine.take_event();
    let Some(Event::LimitHit { path, file, .. }) = hit else { panic!("{hit:?}") };
    assert_eq!((path.as_slice(), file.as_str()), (&b"/g"[..], "numtasks.forkrate"));
}
