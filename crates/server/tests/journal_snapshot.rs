//! A rebuilt snapshot equals the original engine: hierarchies, cgroups, owners and settings of any shape.

use penfold_core::{CgroupId, Owner};
use penfold_server::journal::{CgroupRecord, Defaults, Snapshot, describe_all, parse, rebuild};
use penfold_testkit::SimWorld;
use proptest::prelude::*;

/// An engine with all controllers, on a machine with that many CPUs.
fn world_with_cpus(cpus: usize) -> SimWorld {
    let mut world = SimWorld::with_cpus(cpus);
    penfold_subsystems::load_tree(&mut world.engine, &mut world.host).expect("they load");
    world
}

fn loaded_world() -> SimWorld {
    world_with_cpus(4)
}

/// The state that a journal records, and random steps that change it.
trait Recorded {
    fn snapshot(&mut self) -> Snapshot;

    /// The visible state in lines, without numbers of cgroups.
    fn seen(&mut self) -> Vec<String>;

    /// All cgroups, parents first.
    fn all(&self) -> Vec<CgroupId>;

    /// Does one step. Refusals are ignored: the steps are random.
    fn play(&mut self, op: &JournalStep);
}

impl Recorded for SimWorld {
    fn snapshot(&mut self) -> Snapshot {
        describe_all(&mut self.engine, &mut self.host, &Defaults::new())
    }

    fn seen(&mut self) -> Vec<String> {
        let mut seen = vec![self.engine.proc_cgroups()];
        let hierarchies: Vec<(CgroupId, String)> = self
            .engine
            .tree()
            .hierarchies()
            .map(|hierarchy| (hierarchy.root, format!("{} {} mounts", hierarchy.id, hierarchy.mounts)))
            .collect();
        for (at, facts) in hierarchies {
            let options = self.engine.show_options(at).expect("it lives");
            seen.push(format!("{facts} {}", options.escape_ascii()));
            let mut all = vec![at];
            while let Some(at) = all.pop() {
                let node = &self.engine.tree()[at];
                let facts = format!("{:?} {:?}", node.owner(), self.engine.tree().path(at));
                seen.push(facts);
                for entry in self.engine.files(at).expect("it lives") {
                    // numbers of css_sets differ between engines
                    let text = if entry.name.starts_with("debug.") {
                        None
                    } else {
                        self.try_read_opened(at, entry.id).ok()
                    };
                    seen.push(format!("{} {:?} {text:?}", entry.name, entry.owner));
                }
                all.extend(self.engine.tree().children(at));
            }
        }
        seen
    }

    fn all(&self) -> Vec<CgroupId> {
        let mut all: Vec<CgroupId> =
            self.engine.tree().hierarchies().map(|hierarchy| hierarchy.root).collect();
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            all.extend(self.engine.tree().children(at));
            next += 1;
        }
        all
    }

    fn play(&mut self, op: &JournalStep) {
        let all = self.all();
        let pick = |number: usize| all.get(number.checked_rem(all.len())?).copied();
        match op {
            JournalStep::Mount(options) => drop(self.try_mount(OPTIONS[*options])),
            JournalStep::Unmount(at) => {
                let roots: Vec<CgroupId> = self.engine.tree().hierarchies().map(|h| h.root).collect();
                if let Some(&root) = at.checked_rem(roots.len()).and_then(|at| roots.get(at)) {
                    let _ = self.try_unmount(root);
                }
            }
            JournalStep::Mkdir(at, name) => drop(pick(*at).map(|at| self.try_mkdir(at, name))),
            JournalStep::Rmdir(at) => {
                let _ = pick(*at).map(|at| self.try_rmdir(at));
            }
            JournalStep::Rename(at, name) => {
                let parent =
                    pick(*at).and_then(|at| self.engine.tree()[at].parent().map(|parent| (parent, at)));
                if let Some((parent, at)) = parent {
                    let old = self.engine.tree()[at].name().to_vec();
                    let _ = self.engine.rename(&self.caller, parent, &old, parent, name);
                }
            }
            JournalStep::Write(at, file, value) => {
                let Some(at) = pick(*at) else { return };
                let files = self.engine.files(at).expect("it lives");
                let file = &files[file % files.len()];
                let id = file.id;
                let _ = self.try_write_opened(at, id, value);
            }
            JournalStep::Own(at, file, uid, mode) => {
                let Some(at) = pick(*at) else { return };
                let owner = Owner { uid: *uid, gid: 7, mode: *mode };
                let files = self.engine.files(at).expect("it lives");
                let _ = match file {
                    None => self.engine.set_owner(&self.caller, at, owner),
                    Some(file) => {
                        self.engine.set_file_owner(&self.caller, at, files[file % files.len()].id, owner)
                    }
                };
            }
        }
    }
}

/// The snapshot after a journal was written and parsed.
fn through_a_file(snapshot: &Snapshot) -> Snapshot {
    let lines: Vec<String> = snapshot
        .records()
        .map(|record| serde_json::to_string(&record).expect("it can be written") + "\n")
        .collect();
    let found = parse(lines.concat().as_bytes());
    assert_eq!(found.damage, None);
    found.snapshot.expect("there is one")
}

fn restored(world: &mut SimWorld) -> SimWorld {
    let snapshot = world.snapshot();
    let read = through_a_file(&snapshot);
    // created_seq is counted anew, so only the order is compared
    assert_eq!(read.by_age(), snapshot.by_age());
    assert_eq!((&read.hierarchies, read.last_hierarchy), (&snapshot.hierarchies, snapshot.last_hierarchy));
    let mut other = loaded_world();
    let mut rebuilt = rebuild(&mut other.engine, &mut other.host, &read);
    rebuilt.freeze(&mut other.engine, &mut other.host);
    rebuilt.finish(&mut other.engine, &mut other.host);
    assert_eq!(rebuilt.failures, Vec::<String>::new());
    assert_eq!(other.engine.take_release(), None, "nothing was released");
    other
}

fn assert_same(world: &mut SimWorld, other: &mut SimWorld) {
    for (old, new) in world.seen().iter().zip(&other.seen()) {
        assert_eq!(new, old);
    }
    assert_eq!(other.seen().len(), world.seen().len());
}

#[test]
fn every_setting_of_every_controller_is_restored() {
    let mut world = loaded_world();
    let at = world.mount("all,clone_children,release_agent=/sbin/agent,name=everything");
    for (file, value) in [
        ("cpuset.memory_pressure_enabled", "1"),
        ("numtasks.total_numtasks", "1000"),
        ("numtasks.forkrate", "500"),
        ("numtasks.forkrate_interval", "7"),
        ("numtasks.shares", "child_shares_divisor=50"),
        ("net_cls.classid", "0x100001"),
        ("notify_on_release", "1"),
    ] {
        world.write(at, file, value);
    }
    world.write(at, "release_agent", b"/sbin/\xff\xa0\\");
    let exclusive = world.mkdir(at, "exclusive");
    for (file, value) in [
        ("cpuset.cpus", "0-2"),
        ("cpuset.cpu_exclusive", "1"),
        ("cpuset.mem_hardwall", "1"),
        ("cpuset.memory_migrate", "1"),
        ("cpuset.memory_spread_page", "1"),
        ("cpuset.memory_spread_slab", "1"),
        ("cpuset.sched_load_balance", "0"),
        ("cpuset.sched_relax_domain_level", "1"),
        ("freezer.state", "FROZEN"),
        ("net_cls.classid", "7"),
        ("numtasks.shares", "min_shares=10,max_shares=20"),
        ("pids.max", "64"),
        ("notify_on_release", "0"),
    ] {
        world.write(exclusive, file, value);
    }
    // this cgroup inherits values, which the restore must not set as its own
    let below = world.mkdir(exclusive, b"below\\ \xff");
    world.write(below, "cpuset.cpus", "1-2");
    world.write(below, "cpuset.cpu_exclusive", "1");
    let empty = world.mkdir(at, "empty");
    world.write(empty, "cpuset.cpus", "\n");
    world.write(empty, "cgroup.clone_children", "0");

    let mut other = restored(&mut world);
    assert_same(&mut world, &mut other);
    let root = other.engine.find_hierarchy("everything").expect("it is there");
    let options = other.engine.show_options(root).expect("it is mounted");
    let shown = b"release_agent=/sbin/\xff\xa0\\,clone_children,name=everything";
    assert!(options.ends_with(shown), "{}", options.escape_ascii());
    // the child was frozen by its parent only, so it thaws with the parent
    let find =
        |world: &SimWorld, path| world.engine.lookup(world.engine.find_hierarchy("pids").unwrap(), path);
    let exclusive = find(&other, "exclusive").expect("it is there");
    other.write(exclusive, "freezer.state", "THAWED");
    let below = other.engine.tree().children(exclusive).next().expect("it has a child");
    assert_eq!(other.read(below, "freezer.state"), "THAWED\n");
}

#[test]
fn mounts_and_unmounted_hierarchies_are_restored() {
    let mut world = loaded_world();
    let gone = world.mount("none,name=gone");
    let unmounted = world.mount("pids,name=unmounted");
    let cpuset = world.try_mount_cpuset("").expect("it mounts");
    world.mount("none,name=several");
    world.mount("name=several");
    world.mkdir(unmounted, "child");
    world.mkdir(cpuset, "bare");
    for root in [gone, unmounted] {
        world.unmount(root);
    }
    let mut other = restored(&mut world);
    assert_same(&mut world, &mut other);
    // no number of a hierarchy is used twice
    let next = other.mount("none,name=next");
    assert_eq!(other.engine.tree().hierarchy_of(next).id, 5);
}

#[test]
fn refused_setting_is_reported_and_the_rest_restored() {
    let mut world = loaded_world();
    let at = world.mount("cpuset,pids");
    let wide = world.mkdir(at, "wide");
    world.write(wide, "cpuset.cpus", "0-3");
    world.write(wide, "pids.max", "5");
    let snapshot = world.snapshot();
    let mut other = world_with_cpus(2);
    let rebuilt = rebuild(&mut other.engine, &mut other.host, &snapshot);
    assert_eq!(
        rebuilt.failures,
        ["1:/wide: cpuset.cpus was \"0-3\": cpuset.cpus: takes a list such as 0-3,7 of numbers below 2"],
        "the root's own CPUs are nobody's setting"
    );
    let wide = rebuilt.cgroups[&wide.number()];
    assert_eq!(other.read(wide, "pids.max"), "5\n");
}

#[derive(Debug, Clone)]
enum JournalStep {
    Mount(usize),
    Unmount(usize),
    Mkdir(usize, Vec<u8>),
    Rmdir(usize),
    Rename(usize, Vec<u8>),
    Write(usize, usize, String),
    Own(usize, Option<usize>, u32, u32),
}

const OPTIONS: [&str; 8] = [
    "pids",
    "cpuset,cpuacct",
    "cpuset,cpuset_v2_mode",
    "freezer,net_cls,clone_children",
    "numtasks,name=shares",
    "none,name=n1",
    "all",
    "debug,xattr",
];

const VALUES: [&str; 14] = [
    "0",
    "1",
    "2",
    "max",
    "0-1",
    "0-3",
    "1,3",
    "\n",
    "FROZEN",
    "THAWED",
    "77",
    "/sbin/agent x",
    "min_shares=5,max_shares=50",
    "max_shares=-3,child_shares_divisor=60",
];

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-c]".prop_map(String::into_bytes),
        proptest::collection::vec(
            prop_oneof![Just(b'\\'), Just(0xff_u8), Just(b' '), Just(b'"'), 1_u8..=255],
            1..4
        )
    ]
}

fn op() -> impl Strategy<Value = JournalStep> {
    prop_oneof![
        2 => (0..OPTIONS.len()).prop_map(JournalStep::Mount),
        1 => any::<usize>().prop_map(JournalStep::Unmount),
        8 => (any::<usize>(), name()).prop_map(|(at, name)| JournalStep::Mkdir(at, name)),
        1 => any::<usize>().prop_map(JournalStep::Rmdir),
        1 => (any::<usize>(), name()).prop_map(|(at, name)| JournalStep::Rename(at, name)),
        12 => (any::<usize>(), any::<usize>(), 0..VALUES.len())
            .prop_map(|(at, file, value)| JournalStep::Write(at, file, VALUES[value].to_owned())),
        2 => (any::<usize>(), any::<Option<usize>>(), 0_u32..3, 0_u32..0o7777)
            .prop_map(|(at, file, uid, mode)| JournalStep::Own(at, file, uid, mode)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 3000 }))]

    #[test]
    fn restored_state_looks_the_same_after_any_steps(ops in proptest::collection::vec(op(), 1..60)) {
        let mut world = loaded_world();
        for op in &ops {
            world.play(op);
        }
        let mut other = restored(&mut world);
        assert_same(&mut world, &mut other);
    }

    #[test]
    fn cut_journal_is_read_up_to_the_cut(ops in proptest::collection::vec(op(), 1..30), cut in any::<usize>()) {
        let mut world = loaded_world();
        for op in &ops {
            world.play(op);
        }
        let snapshot = world.snapshot();
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for record in snapshot.records() {
            bytes.extend(serde_json::to_vec(&record).expect("it can be written"));
            bytes.push(b'\n');
            ends.push(bytes.len());
        }
        let cut = cut % (bytes.len() + 1);
        let found = parse(&bytes[..cut]);
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        if whole == 0 {
            // an empty file, or the beginning of the first line
            prop_assert!(found.snapshot.is_none() && found.damage.is_some() == (cut > 0));
        } else {
            prop_assert_eq!(found.damage, None);
            let mut expected = Snapshot::default();
            snapshot.records().take(whole).for_each(|record| expected.apply(&record));
            prop_assert_eq!(found.snapshot, Some(expected));
        }
    }

    #[test]
    fn junk_in_a_journal_causes_no_panic(junk in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>()) {
        let mut world = loaded_world();
        let root = world.mount("pids");
        world.mkdir(root, b"a");
        let lines: Vec<String> =
            world.snapshot().records().map(|record| serde_json::to_string(&record).expect("JSON") + "\n").collect();
        let mut bytes = lines.concat().into_bytes();
        let at = at % bytes.len();
        bytes.splice(at..at, junk);
        if let Some(snapshot) = parse(&bytes).snapshot {
            let mut other = loaded_world();
            rebuild(&mut other.engine, &mut other.host, &snapshot);
        }
    }
}

#[test]
fn circle_of_parents_in_a_journal_ends() {
    let mut snapshot = loaded_world().snapshot();
    let cgroup = |cgroup, parent| CgroupRecord {
        cgroup,
        parent: Some(parent),
        name: penfold_server::journal::EscapedBytes(b"x".to_vec()),
        owner: penfold_server::journal::OwnerRecord::default(),
        creator: (0, 0),
        values: Vec::new(),
        files: Vec::new(),
    };
    for (number, parent) in [(1, 2), (2, 1), (3, 3)] {
        let line = serde_json::to_string(&cgroup(number, parent)).expect("JSON");
        let record = serde_json::from_str(&line.replacen('{', "{\"is\":\"cgroup\",", 1)).expect("a record");
        snapshot.apply(&record);
    }
    assert_eq!(snapshot.root_of(1), None);
    assert!(snapshot.path(3).starts_with("/x"));
    let mut other = loaded_world();
    let rebuilt = rebuild(&mut other.engine, &mut other.host, &snapshot);
    assert!(rebuilt.cgroups.is_empty());
}

#[test]
fn journal_of_another_format_is_not_read() {
    let found = parse(
        b"{\"is\":\"begin\",\"format\":2,\"place\":{\"boot\":\"\",\"pids\":0,\"mounts\":0},\"last\":0}\n",
    );
    assert!(found.snapshot.is_none());
    assert!(found.damage.expect("it is said").contains("format 2"));
}
