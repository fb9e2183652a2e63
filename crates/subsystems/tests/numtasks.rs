//! numtasks on the simulated host: the rules of F3, one a test.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Caller, CgroupId, Engine, Errno, Event, MoveScope, Tid, host::Capability, simulated::ChildKind,
};
use penfold_subsystems::Numtasks;

const SECOND: u64 = 1_000_000_000;

struct World {
    engine: Engine,
    host: SimulatedHost,
    root: CgroupId,
    /// A task in the root.
    shell: Tid,
}

impl World {
    fn new() -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
        engine.load(&mut host, Numtasks::default()).unwrap();
        let shell = host.spawn(&mut engine, 0);
        let root = engine.session(&mut host, &administrator()).mount("numtasks").unwrap().root;
        World { engine, host, root, shell }
    }

    fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        self.engine.session(&mut self.host, &administrator()).mkdir(parent, name.as_bytes(), 0o755).unwrap()
    }

    fn write(&mut self, cgroup: CgroupId, file: &str, text: &str) -> Result<(), Errno> {
        let id = self.engine.find_file(cgroup, &format!("numtasks.{file}")).unwrap();
        let written =
            self.engine.session(&mut self.host, &administrator()).write(cgroup, id, text.as_bytes());
        written.map_err(|error| error.errno())
    }

    fn read(&mut self, cgroup: CgroupId, file: &str) -> String {
        let id = self.engine.find_file(cgroup, &format!("numtasks.{file}")).unwrap();
        String::from_utf8(self.engine.session(&mut self.host, &administrator()).read(cgroup, id).unwrap())
            .unwrap()
    }

    /// The four numbers of `stats`: usage, successes, failures, forkrate failures.
    fn stats(&mut self, cgroup: CgroupId) -> [u64; 4] {
        let text = self.read(cgroup, "stats");
        let numbers: Vec<u64> =
            text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }

    fn move_in(&mut self, cgroup: CgroupId, task: Tid) {
        self.engine.session(&mut self.host, &administrator()).attach(cgroup, task, MoveScope::Task).unwrap();
    }

    fn fork(&mut self, parent: Tid) -> Result<Tid, Errno> {
        self.host.fork(&mut self.engine, parent, ChildKind::Process).map_err(|error| error.errno())
    }

    /// Forks until a fork is refused. Returns the number of forks that succeeded.
    fn fork_until_refused(&mut self, parent: Tid) -> usize {
        let forks = (0..10_000).take_while(|_| self.fork(parent).is_ok()).count();
        assert!(forks < 10_000, "never refused");
        assert_eq!(self.fork(parent), Err(Errno::EAGAIN));
        forks
    }
}

fn administrator() -> Caller {
    Caller::root(Tid(1))
}

#[test]
fn defaults_and_formats() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    for cgroup in [w.root, g] {
        assert_eq!(
            w.read(cgroup, "shares"),
            "res=numtasks,min_shares=-3,max_shares=-3,child_shares_divisor=100\n"
        );
    }
    assert_eq!(
        w.read(w.root, "stats"),
        "numtasks: Current usage 1\nnumtasks: Number of successes 1\nnumtasks: Number of failures 0\n\
         numtasks: Number of forkrate failures 0\n"
    );
    for (file, value) in
        [("total_numtasks", "2147483647\n"), ("forkrate", "2147483647\n"), ("forkrate_interval", "1\n")]
    {
        assert_eq!(w.read(w.root, file), value, "{file}");
        assert!(w.engine.find_file(g, &format!("numtasks.{file}")).is_none(), "{file} is for the root only");
    }
}

#[test]
fn shares_are_taken_in_any_order_with_a_newline() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
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
        assert_eq!(w.write(g, "shares", text), answer, "{text:?}");
    }
    assert_eq!(w.read(g, "shares"), "res=numtasks,min_shares=5,max_shares=60,child_shares_divisor=128\n");
    assert_eq!(w.write(g, "shares", &"a".repeat(4096)), Err(Errno::E2BIG));
}

/// T14
#[test]
fn parent_guarantees_no_more_than_its_divisor() {
    let mut w = World::new();
    let (a, b) = (w.mkdir(w.root, "a"), w.mkdir(w.root, "b"));
    assert_eq!(w.write(a, "shares", "res=numtasks,min_shares=60"), Ok(()));
    assert_eq!(w.write(b, "shares", "res=numtasks,min_shares=60"), Err(Errno::EINVAL));
    assert_eq!(w.write(b, "shares", "min_shares=40"), Ok(()));
    assert_eq!(w.write(a, "shares", "min_shares=61"), Err(Errno::EINVAL));
    assert_eq!(w.write(a, "shares", "min_shares=30"), Ok(()), "less is always possible");
    assert_eq!(w.write(b, "shares", "min_shares=70"), Ok(()));
}

#[test]
fn removed_child_and_dont_care_give_the_guarantee_back() {
    let mut w = World::new();
    let (a, b) = (w.mkdir(w.root, "a"), w.mkdir(w.root, "b"));
    w.write(a, "shares", "min_shares=60,max_shares=90").unwrap();
    assert_eq!(w.write(w.root, "shares", "child_shares_divisor=80"), Err(Errno::EINVAL));
    w.engine.session(&mut w.host, &administrator()).rmdir(a).unwrap();
    assert_eq!(w.write(b, "shares", "min_shares=100"), Ok(()));
    w.write(b, "shares", "min_shares=-3").unwrap();
    assert_eq!(w.write(w.root, "shares", "child_shares_divisor=1"), Ok(()));
}

/// T14
#[test]
fn shares_that_contradict_each_other_are_refused() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    for text in [
        "max_shares=101",
        "min_shares=50,max_shares=40",
        "min_shares=-4",
        "max_shares=-7",
        "child_shares_divisor=-3",
    ] {
        assert_eq!(w.write(g, "shares", text), Err(Errno::EINVAL), "{text}");
    }
    w.write(g, "shares", "min_shares=60,max_shares=70").unwrap();
    for text in ["child_shares_divisor=30", "child_shares_divisor=65"] {
        assert_eq!(w.write(w.root, "shares", text), Err(Errno::EINVAL), "{text}");
    }
    assert_eq!(w.write(w.root, "shares", "child_shares_divisor=70"), Ok(()));
    assert_eq!(w.write(w.root, "shares", "min_shares=1000,max_shares=2000"), Ok(()), "a root has no parent");
}

#[test]
fn an_unsupported_share_never_changes_again() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(g, "shares", "min_shares=-2").unwrap();
    assert_eq!(w.write(g, "shares", "min_shares=5,max_shares=7"), Ok(()));
    assert_eq!(w.read(g, "shares"), "res=numtasks,min_shares=-2,max_shares=7,child_shares_divisor=100\n");
}

/// T14
#[test]
fn shares_bound_no_group_before_the_total_is_written() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(g, "shares", "max_shares=10").unwrap();
    assert!(!w.engine.can_refuse_fork());
    let first = w.fork(w.shell).unwrap();
    w.move_in(g, first);
    for _ in 0..50 {
        w.fork(first).unwrap();
    }
}

/// T14
#[test]
fn the_eleventh_task_of_a_tenth_of_100_is_refused() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(w.root, "total_numtasks", "100\n").unwrap();
    w.write(g, "shares", "max_shares=10").unwrap();
    let first = w.fork(w.shell).unwrap();
    w.move_in(g, first);
    assert_eq!(w.fork_until_refused(first), 9);
    assert_eq!(w.stats(g)[2], 2);
    assert_eq!(w.fork_until_refused(w.shell), 100 - 11, "the root holds the total");
}

#[test]
fn failure_by_an_ancestor_counts_in_the_forking_group() {
    let mut w = World::new();
    let parent = w.mkdir(w.root, "p");
    let child = w.mkdir(parent, "c");
    w.write(w.root, "total_numtasks", "100").unwrap();
    w.write(parent, "shares", "max_shares=5").unwrap();
    let first = w.fork(w.shell).unwrap();
    w.move_in(child, first);
    assert_eq!(w.fork_until_refused(first), 4);
    assert_eq!((w.stats(child)[2], w.stats(parent)[2]), (2, 0));
}

#[test]
fn bounds_are_parts_of_parts_and_follow_every_change() {
    let mut w = World::new();
    let parent = w.mkdir(w.root, "p");
    let child = w.mkdir(parent, "c");
    w.write(w.root, "total_numtasks", "1000").unwrap();
    w.write(parent, "shares", "max_shares=10,child_shares_divisor=3").unwrap();
    w.write(child, "shares", "max_shares=1").unwrap();
    let first = w.fork(w.shell).unwrap();
    w.move_in(child, first);
    assert_eq!(w.fork_until_refused(first), 32, "1000 * 10 / 100 * 1 / 3, rounded down");
    w.write(w.root, "total_numtasks", "2000").unwrap();
    assert_eq!(w.fork_until_refused(first), 66 - 33);
    w.write(w.root, "shares", "child_shares_divisor=50").unwrap();
    assert_eq!(w.fork_until_refused(first), 133 - 66);
    w.write(parent, "shares", "max_shares=-3").unwrap();
    for _ in 0..200 {
        w.fork(first).expect("a don't care above unbounds what is below");
    }
}

#[test]
fn unlimited_total_takes_all_bounds_away() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(g, "shares", "max_shares=10").unwrap();
    w.write(w.root, "total_numtasks", "100").unwrap();
    assert!(w.engine.can_refuse_fork());
    w.write(w.root, "total_numtasks", "2147483647").unwrap();
    assert!(!w.engine.can_refuse_fork());
}

#[test]
fn parameters_take_1_to_2147483647() {
    let mut w = World::new();
    for file in ["total_numtasks", "forkrate", "forkrate_interval"] {
        let before = w.read(w.root, file);
        for text in ["0", "-1", "abc", "2147483648"] {
            assert_eq!(w.write(w.root, file, text), Err(Errno::EINVAL), "{file} {text}");
        }
        assert_eq!(w.read(w.root, file), before);
    }
    let g = w.mkdir(w.root, "g");
    for _ in 0..4 {
        let task = w.fork(w.shell).unwrap();
        w.move_in(g, task);
    }
    assert_eq!(w.write(w.root, "total_numtasks", "5"), Err(Errno::EINVAL), "five tasks in all");
    assert_eq!(w.write(w.root, "total_numtasks", "6"), Ok(()));
}

#[test]
fn forkrate_is_each_groups_own() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(w.root, "forkrate", "3").unwrap();
    w.write(w.root, "forkrate_interval", "10").unwrap();
    let first = w.fork(w.shell).unwrap();
    w.move_in(g, first);
    assert_eq!(w.fork_until_refused(first), 3);
    assert_eq!(w.fork_until_refused(w.shell), 2, "its own fork came before; those of its child don't count");
    w.host.clock += 10 * SECOND;
    assert_eq!(w.fork(first), Err(Errno::EAGAIN), "not older than the interval");
    w.host.clock += 1;
    assert_eq!(w.fork_until_refused(first), 3);
    assert_eq!(w.stats(g), [7, 0, 0, 5]);
}

#[test]
fn fork_that_the_rate_refuses_leaves_no_charge() {
    let mut w = World::new();
    w.write(w.root, "total_numtasks", "4").unwrap();
    w.write(w.root, "forkrate", "1").unwrap();
    assert_eq!(w.fork_until_refused(w.shell), 1);
    w.write(w.root, "forkrate", "2147483647").unwrap();
    assert_eq!(w.fork_until_refused(w.shell), 2);
    assert_eq!(w.stats(w.root), [4, 4, 2, 2]);
}

#[test]
fn write_of_rate_or_interval_starts_all_windows_anew() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    let first = w.fork(w.shell).unwrap();
    w.move_in(g, first);
    for (file, value) in [("forkrate", "2"), ("forkrate_interval", "5"), ("forkrate", "2")] {
        w.write(w.root, file, value).unwrap();
        assert_eq!(w.fork_until_refused(first), 2, "{file}");
    }
}

#[test]
fn task_beyond_a_guarantee_is_borrowed() {
    let mut w = World::new();
    let parent = w.mkdir(w.root, "p");
    let child = w.mkdir(parent, "c");
    w.write(w.root, "total_numtasks", "100").unwrap();
    w.write(parent, "shares", "min_shares=20").unwrap();
    w.write(child, "shares", "min_shares=10").unwrap();
    let first = w.fork(w.shell).unwrap();
    w.move_in(child, first);
    let born = w.fork(first).unwrap();
    assert_eq!(w.stats(child)[..2], [2, 2], "20 * 10 / 100 are its own");
    assert_eq!((w.stats(parent)[0], w.stats(w.root)[0]), (0, 1));
    let borrowed = w.fork(first).unwrap();
    assert_eq!((w.stats(child)[..2].to_vec(), w.stats(parent)[..2].to_vec()), (vec![3, 2], vec![1, 1]));
    w.host.exit(&mut w.engine, born);
    assert_eq!((w.stats(child)[0], w.stats(parent)[0]), (2, 0), "the borrowed one goes first");
    w.move_in(w.root, borrowed);
    assert_eq!((w.stats(child)[0], w.stats(parent)[0], w.stats(w.root)[0]), (1, 0, 2));
}

#[test]
fn task_without_a_guarantee_is_borrowed_from_the_root() {
    let mut w = World::new();
    let parent = w.mkdir(w.root, "p");
    let child = w.mkdir(parent, "c");
    let first = w.fork(w.shell).unwrap();
    w.move_in(child, first);
    w.fork(first).unwrap();
    assert_eq!((w.stats(child)[0], w.stats(parent)[0], w.stats(w.root)[0]), (2, 2, 3));
    assert_eq!(
        (w.stats(child)[1], w.stats(parent)[1], w.stats(w.root)[1]),
        (0, 0, 4),
        "a move succeeds anew"
    );
}

#[test]
fn move_is_never_refused() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(w.root, "total_numtasks", "100").unwrap();
    w.write(g, "shares", "max_shares=1").unwrap();
    for _ in 0..3 {
        let task = w.fork(w.shell).unwrap();
        w.move_in(g, task);
    }
    assert_eq!(w.stats(g)[0], 3);
}

#[test]
fn stats_have_no_reset() {
    let mut w = World::new();
    let before = w.stats(w.root);
    assert_eq!(w.write(w.root, "stats", "res=numtasks,all\n"), Ok(()));
    assert_eq!(w.write(w.root, "stats", "0"), Err(Errno::EINVAL));
    assert_eq!(w.stats(w.root), before);
}

#[test]
fn host_that_can_not_refuse_takes_no_bound_and_no_rate() {
    let mut w = World::new();
    w.host.cannot = vec![Capability::ForkVeto];
    let g = w.mkdir(w.root, "g");
    assert_eq!(w.write(g, "shares", "min_shares=5,max_shares=10"), Ok(()), "nothing is bounded yet");
    assert_eq!(w.write(w.root, "total_numtasks", "100"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.write(w.root, "forkrate", "5"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(w.root, "total_numtasks"), "2147483647\n");
    assert_eq!(w.read(w.root, "forkrate"), "2147483647\n");
    assert!(!w.engine.can_refuse_fork());
    let task = w.fork(w.shell).unwrap();
    w.move_in(g, task);
    assert_eq!(w.stats(g)[1], 0, "its guarantee is still of no number of tasks: all is borrowed");
    w.host.cannot.clear();
    w.write(w.root, "total_numtasks", "100").unwrap();
    w.host.cannot = vec![Capability::ForkVeto];
    let shares = w.read(g, "shares");
    assert_eq!(w.write(g, "shares", "min_shares=50,max_shares=80"), Err(Errno::EOPNOTSUPP));
    assert_eq!(w.read(g, "shares"), shares);
    let h = w.mkdir(w.root, "h");
    assert_eq!(w.write(h, "shares", "min_shares=95"), Ok(()), "the parent has its 95 parts back");
}

#[test]
fn host_has_to_refuse_only_with_a_bound_or_a_rate() {
    let mut w = World::new();
    assert!(!w.engine.can_refuse_fork(), "loaded, but no rate and no bound is set");
    w.write(w.root, "forkrate", "5").unwrap();
    w.write(w.root, "forkrate", "6").unwrap();
    assert!(w.engine.can_refuse_fork());
    w.write(w.root, "forkrate", "2147483647").unwrap();
    assert!(!w.engine.can_refuse_fork());
    w.write(w.root, "forkrate", "5").unwrap();
    w.write(w.root, "total_numtasks", "50").unwrap();
    w.engine.unmount(&mut w.host, w.root).unwrap();
    assert!(w.engine.can_refuse_fork(), "unbound, it still counts in its only group");
    w.engine.unload(&mut w.host, "numtasks").unwrap();
    assert!(!w.engine.can_refuse_fork());
}

#[test]
fn late_load_counts_the_tasks_that_exist() {
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(1));
    let shell = host.spawn(&mut engine, 0);
    host.fork(&mut engine, shell, ChildKind::Process).unwrap();
    engine.load(&mut host, Numtasks::default()).unwrap();
    let root = engine.session(&mut host, &administrator()).mount("numtasks").unwrap().root;
    let mut w = World { engine, host, root, shell };
    assert_eq!(w.stats(root)[0], 2);
    assert_eq!(w.write(root, "total_numtasks", "2"), Err(Errno::EINVAL));
}

#[test]
fn refusal_by_the_forkrate_is_an_event_that_names_it() {
    let mut w = World::new();
    let g = w.mkdir(w.root, "g");
    w.write(w.root, "forkrate", "1").unwrap();
    let task = w.fork(w.shell).unwrap();
    w.move_in(g, task);
    w.engine.watch(true);
    assert_eq!(w.fork_until_refused(task), 1);
    let hit = w.engine.take_event();
    let Some(Event::LimitHit { path, file, .. }) = hit else { panic!("{hit:?}") };
    assert_eq!((path.as_slice(), file.as_str()), (&b"/g"[..], "numtasks.forkrate"));
}
