//! The rules of loadable subsystems (E1 to E6) with real modules. Each bug that Linux had is a test.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use penfold_core::{Access, Errno, Tid};
use penfold_module::loader::{Controller, LoadError};
use penfold_testkit::{SimWorld, TempFile, c_module};

use super::account::{Modules as _, is_mapped};
use super::logged;

const ALL: [(&str, &str); 8] = [
    ("FORKS", ""),
    ("EXITS", ""),
    ("VETO", ""),
    ("MOVES", ""),
    ("KEEP", ""),
    ("BIND", ""),
    ("CLONE", ""),
    ("RULE", ""),
];

/// The witness with all callbacks, and a log of the calls that no file can report afterwards.
fn logging(more: &[(&str, &str)]) -> (TempFile, TempFile) {
    let log = TempFile::unmade(".log");
    let quoted = format!("\"{}\"", log.path().display());
    let macros: Vec<_> = ALL.iter().chain(more).copied().chain([("LOG", &*quoted)]).collect();
    (c_module("witness", &macros), log)
}

fn lines(log: &TempFile) -> Vec<String> {
    let text = std::fs::read_to_string(log.path()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// E2, E3, E5.1, E5.2: a whole life while tasks run. Nothing of the file is left mapped afterwards.
#[test]
fn e3_module_comes_and_goes_while_tasks_run() {
    let (file, log) = logging(&[]);
    let mut world = SimWorld::new();
    let tasks: Vec<Tid> = (0..100).map(|_| world.spawn()).collect();
    world.load_file(file.path());
    assert!(is_mapped(file.path()));
    assert_eq!(world.engine.proc_cgroups().lines().last(), Some("witness\t0\t1\t1"));
    let top = world.mount("all");
    let g = world.mkdir(top, "g");
    for &task in &tasks[..50] {
        world.attach(g, task);
        world.fork(task);
    }
    world.exit(tasks[0]);
    assert_eq!(world.read(g, "witness.usage"), "99\n");
    let told = world.sound_account(g, "witness");
    assert_eq!((told["forks"], told["exits"], told["moves"], told["states"]), (150, 1, 50, 2));
    for task in world.host.tids() {
        world.attach(top, task);
    }
    world.rmdir(g);
    assert_eq!(world.try_unload("witness"), Err(Errno::EBUSY));
    world.unmount(top);
    world.unload("witness");
    assert!(!is_mapped(file.path()));
    assert_eq!(world.engine.proc_cgroups().lines().count(), 1);
    assert_eq!(world.try_mount("witness"), Err(Errno::EINVAL));
    let logged_lines = lines(&log);
    assert_eq!(logged_lines[..2], ["load", "create 0"]);
    assert_eq!(
        logged_lines[logged_lines.len() - 3..],
        ["pre_destroy 0", "destroy 0", "unload"],
        "{logged_lines:?}"
    );
    for task in world.host.tids() {
        world.exit(task);
    }
    assert_eq!(world.engine.css_set_count(), 1);
}

/// E3.2: a load after an unload starts from defaults, also in the author's static variables.
#[test]
fn e3_2_second_load_starts_from_defaults() {
    let file = c_module("witness", &ALL);
    let mut world = SimWorld::new();
    let task = world.spawn();
    for round in 0..5 {
        world.load_file(file.path());
        let top = world.mount("witness");
        let told = world.sound_account(top, "witness");
        assert_eq!((told["forks"], told["creates"], told["binds"]), (1, 1, 1), "round {round}");
        assert_eq!(world.read(top, "witness.value"), "0\n");
        world.write(top, "witness.value", "7");
        world.write(top, "witness.refuse", "1");
        assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
        world.unmount(top);
        world.unload("witness");
        assert!(!world.engine.can_refuse_fork());
        let child = world.fork(task);
        world.exit(child);
    }
}

/// E6.1, E6.6: the state of the root can't be made at load. Then the engine has nothing of the module. The module's
/// `unload` has run, `destroy` has not (there is no state that it could find), and the file is not mapped.
#[test]
fn e6_6_failed_create_at_load_leaves_nothing() {
    let (file, log) = logging(&[("FAIL", "1")]);
    let mut world = SimWorld::new();
    let task = world.spawn();
    let before = (world.engine.proc_cgroups(), world.engine.css_set_count(), world.engine.event_mask());
    for _ in 0..3 {
        assert_eq!(world.try_load(Controller::open(file.path()).unwrap()), Err(Errno::ENOMEM));
        assert_eq!(world.last_error().to_string(), "witness: create was told to fail");
        assert_eq!(lines(&log), ["load", "create 0", "unload"]);
        std::fs::remove_file(log.path()).unwrap();
        assert!(!is_mapped(file.path()));
        assert_eq!(world.try_unload("witness"), Err(Errno::ENOENT));
        assert_eq!(
            before,
            (world.engine.proc_cgroups(), world.engine.css_set_count(), world.engine.event_mask())
        );
        assert!(!world.engine.can_refuse_fork(), "create had set a limit");
        let child = world.fork(task);
        world.exit(child);
    }
}

/// E6.2: `pre_destroy` of the last state runs at unload and can refuse it. `destroy` finds its state. Afterwards no
/// event reaches the module.
#[test]
fn e6_2_pre_destroy_can_keep_a_module_loaded() {
    let (file, log) = logging(&[]);
    let mut world = SimWorld::new();
    let task = world.spawn();
    world.load_file(file.path());
    let top = world.mount("witness");
    world.write(top, "witness.keep", "1");
    world.unmount(top);
    assert_eq!(world.try_unload("witness"), Err(Errno::EBUSY));
    assert_eq!(world.last_error().to_string(), "witness: something still uses it");
    world.fork(task);
    let top = world.mount("witness");
    assert_eq!(world.sound_account(top, "witness")["forks"], 2, "it is loaded and told of everything");
    world.write(top, "witness.keep", "0");
    world.unmount(top);
    world.unload("witness");
    let logged_lines = lines(&log);
    assert_eq!(logged_lines.iter().filter(|line| line.starts_with("pre_destroy")).count(), 2);
    assert_eq!(logged_lines.last().unwrap(), "unload");
}

/// E6.3: forks in flight, exits and moves after an unload never touch the slot's old module, nor its new one.
#[test]
fn e6_3_forks_in_flight_over_an_unload_reach_no_module() {
    let one = c_module("witness", &ALL);
    let two = c_module(
        "witness",
        &[("NAME", "\"other\""), ("FORKS", ""), ("EXITS", ""), ("VETO", ""), ("RULE", "")],
    );
    let mut world = SimWorld::new();
    let task = world.spawn();
    world.load_file(one.path());
    let set = world.css_set(task);
    let mut charge = || world.engine.charge_fork(&mut world.host, task, set).unwrap();
    let (committed, cancelled, over_both) = (charge(), charge(), charge());
    world.unload("witness");
    let child = world.host.create(None, 0);
    world.engine.commit_fork(&mut world.host, committed, child);
    world.engine.cancel_fork(&mut world.host, cancelled);
    world.load_file(two.path());
    let late = world.host.create(None, 0);
    world.engine.commit_fork(&mut world.host, over_both, late);
    let top = world.mount("other");
    let told = world.sound_account(top, "other");
    assert_eq!((told["forks"], told["asked"], told["cancelled"]), (3, 0, 0));
    assert_eq!(world.read(top, "other.usage"), "3\n");
    world.exit(child);
    world.exit(late);
    assert_eq!(world.sound_account(top, "other")["exits"], 2);
    assert_eq!(world.read(top, "other.usage"), "1\n");
}

/// E4, E6.4, E6.5: only binding pins a module. A mount binds all subsystems that it names or none, while another thread
/// loads and unloads one of them all the time.
#[test]
fn e6_5_mount_is_all_or_nothing_beside_loads_and_unloads() {
    const ROUNDS: usize = 300;
    let file = c_module("witness", &[("BIND", ""), ("KEEP", "")]);
    let other = c_module("witness", &[("NAME", "\"other\"")]);
    let mut world = SimWorld::new();
    world.load_file(other.path());
    let world = Arc::new(Mutex::new(world));
    let rounds = Arc::new(AtomicUsize::new(0));
    let mounter = {
        let (world, rounds) = (Arc::clone(&world), Arc::clone(&rounds));
        thread::spawn(move || {
            let (mut bound, mut missing) = (0, 0);
            // a mutex is not fair: the other thread must have had its turns too
            while bound < ROUNDS || rounds.load(Ordering::Relaxed) < 2 {
                let mounted = world.lock().unwrap().try_mount("other,witness");
                let Ok(top) = mounted else {
                    assert_eq!(mounted, Err(Errno::EINVAL), "as if it did not exist");
                    let hierarchy = world.lock().unwrap().engine.hierarchy_of_subsystem("other");
                    assert_eq!(hierarchy, Some(0), "nothing was bound");
                    missing += 1;
                    thread::yield_now();
                    continue;
                };
                let mut world = world.lock().unwrap();
                assert_eq!(world.try_unload("witness"), Err(Errno::EBUSY));
                assert_eq!(world.sound_account(top, "witness")["states"], 1);
                world.unmount(top);
                drop(world);
                thread::yield_now();
                bound += 1;
            }
            missing
        })
    };
    while !mounter.is_finished() {
        let controller = Controller::open(file.path()).unwrap();
        world.lock().unwrap().load(controller);
        thread::yield_now();
        while let Err(busy) = world.lock().unwrap().try_unload("witness") {
            assert_eq!(busy, Errno::EBUSY);
            thread::yield_now();
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    let missing = mounter.join().unwrap();
    let rounds = rounds.load(Ordering::Relaxed);
    println!("{rounds} loads, {missing} mounts that did not find it");
    assert!(rounds > 1);
}

/// E6.7: a file opened before an unload gives ENODEV, also when another module has the slot and the name.
#[test]
fn e6_7_file_opened_before_the_unload_answers_enodev() {
    let file = c_module("witness", &ALL);
    let other = c_module("witness", &[("NAME", "\"other\"")]);
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    world.load_file(file.path());
    world.remount(top, "witness");
    let old = world.try_open(top, "witness.value", Access::READ | Access::WRITE).unwrap();
    world.remount(top, "name=x");
    let gone = |world: &mut SimWorld| {
        assert_eq!(world.try_read_opened(top, old), Err(Errno::ENODEV));
        assert_eq!(world.try_write_opened(top, old, "1"), Err(Errno::ENODEV));
        assert_eq!(world.engine.file_owner(top, old).unwrap_err().errno(), Errno::ENODEV);
    };
    gone(&mut world);
    world.unload("witness");
    gone(&mut world);
    world.load_file(other.path());
    world.remount(top, "other");
    gone(&mut world);
    world.remount(top, "name=x");
    world.unload("other");
    world.load_file(file.path());
    world.remount(top, "witness");
    gone(&mut world);
    assert_eq!(world.read(top, "witness.value"), "0\n");
}

/// E6.8: a module whose load has not ended can't be found. So nothing can bind it before it is known to work, and the
/// engine does not wait for the load.
#[test]
fn e6_8_module_is_not_mountable_before_its_load_has_ended() {
    for (refuse, answer) in [(None, Ok(())), (Some("-ENODEV"), Err(Errno::ENODEV))] {
        let mut macros = vec![("SLOW", "300"), ("FORKS", "")];
        macros.extend(refuse.map(|refuse| ("REFUSE", refuse)));
        let file = c_module("witness", &macros);
        let mut world = SimWorld::new();
        let task = world.spawn();
        let path = file.path().to_owned();
        let loading = thread::spawn(move || Controller::open(&path));
        let mut refused_mounts = 0;
        while !loading.is_finished() {
            assert_eq!(world.try_mount("witness"), Err(Errno::EINVAL));
            let child = world.fork(task);
            world.exit(child);
            refused_mounts += 1;
            thread::sleep(Duration::from_millis(5));
        }
        assert!(refused_mounts > 10, "the engine was free for 300 ms: {refused_mounts}");
        let opened = loading.join().unwrap();
        assert_eq!(opened.as_ref().map(|_| ()).map_err(LoadError::errno), answer);
        match opened {
            Ok(controller) => {
                world.load(controller);
                let top = world.mount("witness");
                assert_eq!(world.sound_account(top, "witness")["forks"], 1);
            }
            Err(error) => {
                assert!(error.to_string().contains("load failed: No such device"), "{error}");
                assert!(!is_mapped(file.path()));
            }
        }
    }
}

/// E2.2: one file is one module. A second load would share the variables of the first, and its unload would end the
/// first.
#[test]
fn e2_2_loaded_file_is_not_loaded_again() {
    let file = c_module("witness", &ALL);
    let mut world = SimWorld::new();
    world.load_file(file.path());
    let link = TempFile::unmade(".so");
    std::os::unix::fs::symlink(file.path(), link.path()).unwrap();
    let hard = TempFile::unmade(".so");
    std::fs::hard_link(file.path(), hard.path()).unwrap();
    for path in [file.path(), link.path(), hard.path()] {
        let Err(error) = Controller::open(path) else { panic!("loaded twice") };
        assert_eq!(error.errno(), Errno::EEXIST);
        assert!(error.to_string().contains("loaded already"), "{error}");
    }
    // A copy is another file. The engine refuses its name, and its own load and unload do not disturb the first.
    let copy = TempFile::unmade(".so");
    std::fs::copy(file.path(), copy.path()).unwrap();
    assert_eq!(world.try_load(Controller::open(copy.path()).unwrap()), Err(Errno::EEXIST));
    assert!(!is_mapped(copy.path()));
    let task = world.spawn();
    let top = world.mount("witness");
    assert_eq!(world.sound_account(top, "witness")["forks"], 1, "the first is as it was");
    world.exit(task);
    world.unmount(top);
    world.unload("witness");
    // Another file at the path of the old one is loaded.
    let newer = c_module("witness", &[("NAME", "\"newer\"")]);
    std::fs::rename(newer.path(), file.path()).unwrap();
    world.load_file(file.path());
    assert_eq!(world.engine.subsystems().collect::<Vec<_>>(), ["newer"]);
}

/// The log names a load, a callback and an unload that take longer than their budget.
#[test]
fn slow_load_callback_and_unload_are_reported_by_name() {
    let file = c_module("witness", &[("SLOW", "300")]);
    let logged_lines = logged::during(|| {
        let mut world = SimWorld::new();
        let mut controller = Controller::open(file.path()).unwrap();
        controller.set_budget(Duration::from_millis(20));
        world.load(controller);
        let top = world.mount("witness");
        world.write(top, "witness.sleep", "200");
        world.unmount(top);
        world.unload("witness");
    });
    let about = |what: &str| logged_lines.iter().any(|line| line.starts_with("WARN") && line.contains(what));
    assert!(about("load has run for 100ms"), "{logged_lines:?}");
    assert!(about("witness.sleep has run for 20ms") && about("witness.sleep took"), "{logged_lines:?}");
    assert!(logged_lines.iter().all(|line| line.contains("module=\"")), "{logged_lines:?}");
    let slow_end = c_module("witness", &[("NAME", "\"dawdler\""), ("SLOW_END", "200")]);
    let logged_lines = logged::during(|| {
        let mut controller = Controller::open(slow_end.path()).unwrap();
        controller.set_budget(Duration::from_millis(20));
        drop(controller);
    });
    assert_eq!(logged_lines.len(), 1, "{logged_lines:?}");
    assert!(
        logged_lines[0].contains("dawdler") && logged_lines[0].contains("unload has run for 20ms"),
        "{logged_lines:?}"
    );
}

/// The callback of this test returns only after the log has named it.
#[test]
fn hanging_callback_is_named_while_it_hangs() {
    let go = TempFile::unmade(".go");
    let quoted = format!("\"{}\"", go.path().display());
    let file = c_module("witness", &[("NAME", "\"hanging\""), ("GO", &quoted)]);
    let logged_lines = logged::meanwhile(|logged_lines| {
        let mut world = SimWorld::new();
        let controller = Controller::open(file.path()).unwrap();
        let overruns = controller.overruns();
        world.load(controller);
        let top = world.mount("hanging");
        let named = |line: &String| line.contains("hanging.hang has run for 100ms and goes on");
        let stop = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) && !logged_lines.lock().unwrap().iter().any(named) {
                    thread::sleep(Duration::from_millis(5));
                }
                std::fs::write(go.path(), "").unwrap();
            });
            let written = world.try_write(top, "hanging.hang", "60");
            stop.store(true, Ordering::Relaxed);
            assert_eq!(written, Ok(()));
        });
        assert_eq!(overruns(), 1);
    });
    assert_eq!(logged_lines.len(), 2, "it is named once, and then what it took: {logged_lines:?}");
}

/// A module that acts in `attach` only gets every task that has a place, each once.
#[test]
fn module_without_fork_gets_first_places_by_attach() {
    let file = c_module("witness", &[("MOVES", "")]);
    let mut world = SimWorld::new();
    let early = world.spawn();
    world.load_file(file.path());
    let top = world.mount("witness");
    assert_eq!(world.account(top, "witness")["moves"], 1, "the task that was there at load");
    let launched = world.spawn();
    assert_eq!(world.account(top, "witness")["moves"], 2);
    let child = world.fork(launched);
    assert_eq!(world.account(top, "witness")["moves"], 2, "a child has what its parent has");
    let group = world.mkdir(top, "g");
    world.attach(group, child);
    let (set, adopted) = (world.css_set(child), world.host.create(None, 0));
    world.engine.adopt_into(&mut world.host, adopted, set);
    assert_eq!(world.account(top, "witness")["moves"], 4);
    world.exit(early);
    assert_eq!(world.sound_account(top, "witness")["moves"], 4);
}
