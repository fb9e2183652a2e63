//! The rules of loadable subsystems (E1 to E6) with real modules: each bug that Linux had is a test.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use penfold_core::{Errno, Tid};
use penfold_module::loader::{Controller, LoadError};

use super::compile::{Object, module, scratch};
use super::heard;
use super::world::{World, is_mapped};

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

/// With all callbacks, and a log of those that a file can't tell of afterwards.
fn logging(more: &[(&str, &str)]) -> (Object, Object) {
    let log = scratch(".log");
    let quoted = format!("\"{}\"", log.path().display());
    let macros: Vec<_> = ALL.iter().chain(more).copied().chain([("LOG", &*quoted)]).collect();
    (module("witness", &macros), log)
}

fn lines(log: &Object) -> Vec<String> {
    let text = std::fs::read_to_string(log.path()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// E2, E3, E5.1, E5.2: a whole life, with tasks that run throughout, and nothing of the file is left afterwards.
#[test]
fn e3_a_module_is_loaded_used_and_unloaded_while_tasks_run() {
    let (file, log) = logging(&[]);
    let mut world = World::new();
    let tasks: Vec<Tid> = (0..100).map(|_| world.spawn()).collect();
    world.load(file.path());
    assert!(is_mapped(file.path()));
    assert_eq!(world.engine.proc_cgroups().lines().last(), Some("witness\t0\t1\t1"));
    let top = world.mount("all").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    for &task in &tasks[..50] {
        world.attach(g, task).unwrap();
        world.fork(task).unwrap();
    }
    world.exit(tasks[0]);
    assert_eq!(world.read(g, "witness.usage").unwrap(), "99\n");
    let told = world.told_right(g, "witness");
    assert_eq!((told["forks"], told["exits"], told["moves"], told["states"]), (150, 1, 50, 2));
    for task in world.host.tids() {
        world.attach(top, task).unwrap();
    }
    world.rmdir(g).unwrap();
    assert_eq!(world.unload("witness"), Err(Errno::EBUSY));
    world.unmount(top);
    world.unload("witness").unwrap();
    assert!(!is_mapped(file.path()));
    assert_eq!(world.engine.proc_cgroups().lines().count(), 1);
    assert_eq!(world.mount("witness"), Err(Errno::EINVAL));
    let said = lines(&log);
    assert_eq!(said[..2], ["load", "create 0"]);
    assert_eq!(said[said.len() - 3..], ["pre_destroy 0", "destroy 0", "unload"], "{said:?}");
    for task in world.host.tids() {
        world.exit(task);
    }
    assert_eq!(world.engine.css_set_count(), 1);
}

/// E3.2: a load after an unload starts from defaults, what the author has in static variables too.
#[test]
fn e3_2_a_second_load_starts_from_defaults() {
    let file = module("witness", &ALL);
    let mut world = World::new();
    let task = world.spawn();
    for round in 0..5 {
        world.load(file.path());
        let top = world.mount("witness").unwrap();
        let told = world.told_right(top, "witness");
        assert_eq!((told["forks"], told["creates"], told["binds"]), (1, 1, 1), "round {round}");
        assert_eq!(world.read(top, "witness.value").unwrap(), "0\n");
        world.write(top, "witness.value", "7").unwrap();
        world.write(top, "witness.refuse", "1").unwrap();
        assert_eq!(world.fork(task), Err(Errno::EAGAIN));
        world.unmount(top);
        world.unload("witness").unwrap();
        assert!(!world.engine.can_refuse_fork());
        let child = world.fork(task).unwrap();
        world.exit(child);
    }
}

/// E6.1, E6.6: the state of the root can't be made at load: the engine has nothing of it, the module's `unload` has run,
/// `destroy` has not (there is nothing that it could find), and the file is not mapped.
#[test]
fn e6_6_a_create_that_fails_at_load_leaves_nothing() {
    let (file, log) = logging(&[("FAIL", "1")]);
    let mut world = World::new();
    let task = world.spawn();
    let before = (world.engine.proc_cgroups(), world.engine.css_set_count(), world.engine.interest());
    for _ in 0..3 {
        let controller = Controller::open(file.path()).unwrap();
        let failed = world.engine.load(&mut world.host, controller).unwrap_err();
        assert_eq!(failed.errno(), Errno::ENOMEM);
        assert_eq!(failed.to_string(), "witness: create was told to fail");
        assert_eq!(lines(&log), ["load", "create 0", "unload"]);
        std::fs::remove_file(log.path()).unwrap();
        assert!(!is_mapped(file.path()));
        assert_eq!(world.unload("witness"), Err(Errno::ENOENT));
        assert_eq!(
            before,
            (world.engine.proc_cgroups(), world.engine.css_set_count(), world.engine.interest())
        );
        assert!(!world.engine.can_refuse_fork(), "create had set a limit");
        let child = world.fork(task).unwrap();
        world.exit(child);
    }
}

/// E6.2: `pre_destroy` of the last state runs at unload and can refuse it, `destroy` finds its state, and afterwards
/// nothing that happens reaches the module.
#[test]
fn e6_2_pre_destroy_can_keep_a_module_loaded() {
    let (file, log) = logging(&[]);
    let mut world = World::new();
    let task = world.spawn();
    world.load(file.path());
    let top = world.mount("witness").unwrap();
    world.write(top, "witness.keep", "1").unwrap();
    world.unmount(top);
    let refused = world.engine.unload(&mut world.host, "witness").unwrap_err();
    assert_eq!((refused.errno(), &*refused.to_string()), (Errno::EBUSY, "witness: something still uses it"));
    world.fork(task).unwrap();
    let top = world.mount("witness").unwrap();
    assert_eq!(world.told_right(top, "witness")["forks"], 2, "it is loaded and told of everything");
    world.write(top, "witness.keep", "0").unwrap();
    world.unmount(top);
    world.unload("witness").unwrap();
    let said = lines(&log);
    assert_eq!(said.iter().filter(|line| line.starts_with("pre_destroy")).count(), 2);
    assert_eq!(said.last().unwrap(), "unload");
}

/// E6.3: forks in flight, exits and moves after an unload never touch what the slot had, nor what it has now.
#[test]
fn e6_3_forks_in_flight_over_an_unload_reach_no_module() {
    let one = module("witness", &ALL);
    let two =
        module("witness", &[("NAME", "\"other\""), ("FORKS", ""), ("EXITS", ""), ("VETO", ""), ("RULE", "")]);
    let mut world = World::new();
    let task = world.spawn();
    world.load(one.path());
    let set = penfold_core::host::HostView::css_set(&world.host, task).unwrap();
    let mut charge = || world.engine.charge_fork(&mut world.host, task, set).unwrap();
    let (committed, cancelled, over_both) = (charge(), charge(), charge());
    world.unload("witness").unwrap();
    let child = world.host.create(None, 0);
    world.engine.commit_fork(&mut world.host, committed, child);
    world.engine.cancel_fork(&mut world.host, cancelled);
    world.load(two.path());
    let late = world.host.create(None, 0);
    world.engine.commit_fork(&mut world.host, over_both, late);
    let top = world.mount("other").unwrap();
    let told = world.told_right(top, "other");
    assert_eq!((told["forks"], told["asked"], told["cancelled"]), (3, 0, 0));
    assert_eq!(world.read(top, "other.usage").unwrap(), "3\n");
    world.exit(child);
    world.exit(late);
    assert_eq!(world.told_right(top, "other")["exits"], 2);
    assert_eq!(world.read(top, "other.usage").unwrap(), "1\n");
}

/// E4, E6.4, E6.5: only binding pins, and a mount either binds all that it names or nothing, while another thread loads
/// and unloads one of them all the time.
#[test]
fn e6_5_mounts_meet_a_module_that_comes_and_goes() {
    const ROUNDS: usize = 300;
    let file = module("witness", &[("BIND", ""), ("KEEP", "")]);
    let other = module("witness", &[("NAME", "\"other\"")]);
    let mut world = World::new();
    world.load(other.path());
    let world = Arc::new(Mutex::new(world));
    let rounds = Arc::new(AtomicUsize::new(0));
    let mounter = {
        let (world, rounds) = (Arc::clone(&world), Arc::clone(&rounds));
        thread::spawn(move || {
            let (mut bound, mut missing) = (0, 0);
            // a mutex is not fair: the other thread has to have had its turns too
            while bound < ROUNDS || rounds.load(Ordering::Relaxed) < 2 {
                let mounted = world.lock().unwrap().mount("other,witness");
                let Ok(top) = mounted else {
                    assert_eq!(mounted, Err(Errno::EINVAL), "as if it did not exist");
                    let hierarchy = world.lock().unwrap().engine.hierarchy_of_subsystem("other");
                    assert_eq!(hierarchy, Some(0), "nothing was bound");
                    missing += 1;
                    thread::yield_now();
                    continue;
                };
                let mut world = world.lock().unwrap();
                assert_eq!(world.unload("witness"), Err(Errno::EBUSY));
                assert_eq!(world.told_right(top, "witness")["states"], 1);
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
        let mut guard = world.lock().unwrap();
        let World { engine, host, .. } = &mut *guard;
        engine.load(host, controller).unwrap();
        drop(guard);
        thread::yield_now();
        while let Err(busy) = world.lock().unwrap().unload("witness") {
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

/// E6.7: a file that was open before an unload answers ENODEV, also when another module has the slot, and the name.
#[test]
fn e6_7_a_file_open_since_before_the_unload_answers_enodev() {
    let file = module("witness", &ALL);
    let other = module("witness", &[("NAME", "\"other\"")]);
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    let World { engine, host, root } = &mut world;
    let open = |engine: &mut penfold_core::Engine, name: &str| engine.open(root, top, name, 6).unwrap();
    engine.load(host, Controller::open(file.path()).unwrap()).unwrap();
    engine.remount(host, root, top, "witness").unwrap();
    let old = open(engine, "witness.value");
    engine.remount(host, root, top, "name=x").unwrap();
    let gone = |engine: &mut penfold_core::Engine, host: &mut penfold_core::simulated::SimulatedHost| {
        assert_eq!(engine.read(host, root, top, old).unwrap_err().errno(), Errno::ENODEV);
        assert_eq!(engine.write(host, root, top, old, b"1").unwrap_err().errno(), Errno::ENODEV);
        assert_eq!(engine.file_owner(top, old).unwrap_err().errno(), Errno::ENODEV);
    };
    gone(engine, host);
    engine.unload(host, "witness").unwrap();
    gone(engine, host);
    engine.load(host, Controller::open(other.path()).unwrap()).unwrap();
    engine.remount(host, root, top, "other").unwrap();
    gone(engine, host);
    engine.remount(host, root, top, "name=x").unwrap();
    engine.unload(host, "other").unwrap();
    engine.load(host, Controller::open(file.path()).unwrap()).unwrap();
    engine.remount(host, root, top, "witness").unwrap();
    gone(engine, host);
    let new = open(engine, "witness.value");
    assert_eq!(engine.read(host, root, top, new).unwrap(), b"0\n");
}

/// E6.8: a module whose load has not finished can't be found, so nothing can bind it before it is known to work; and the
/// engine is not held up meanwhile.
#[test]
fn e6_8_a_module_can_not_be_mounted_before_its_load_has_finished() {
    for (refuse, answer) in [(None, Ok(())), (Some("-ENODEV"), Err(Errno::ENODEV))] {
        let mut macros = vec![("SLOW", "300"), ("FORKS", "")];
        macros.extend(refuse.map(|refuse| ("REFUSE", refuse)));
        let file = module("witness", &macros);
        let mut world = World::new();
        let task = world.spawn();
        let path = file.path().to_owned();
        let loading = thread::spawn(move || Controller::open(&path));
        let mut turned_away = 0;
        while !loading.is_finished() {
            assert_eq!(world.mount("witness"), Err(Errno::EINVAL));
            let child = world.fork(task).unwrap();
            world.exit(child);
            turned_away += 1;
            thread::sleep(Duration::from_millis(5));
        }
        assert!(turned_away > 10, "the engine was free for 300 ms: {turned_away}");
        let opened = loading.join().unwrap();
        assert_eq!(opened.as_ref().map(|_| ()).map_err(LoadError::errno), answer);
        match opened {
            Ok(controller) => {
                world.engine.load(&mut world.host, controller).unwrap();
                let top = world.mount("witness").unwrap();
                assert_eq!(world.told_right(top, "witness")["forks"], 1);
            }
            Err(error) => {
                assert!(error.to_string().contains("load failed: No such device"), "{error}");
                assert!(!is_mapped(file.path()));
            }
        }
    }
}

/// E2.2: one file is one module. A second load would share the variables of the first, and its end would end the first.
#[test]
fn e2_2_a_file_that_is_loaded_is_not_loaded_again() {
    let file = module("witness", &ALL);
    let mut world = World::new();
    world.load(file.path());
    let link = scratch(".so");
    std::os::unix::fs::symlink(file.path(), link.path()).unwrap();
    let hard = scratch(".so");
    std::fs::hard_link(file.path(), hard.path()).unwrap();
    for path in [file.path(), link.path(), hard.path()] {
        let Err(error) = Controller::open(path) else { panic!("loaded twice") };
        assert_eq!(error.errno(), Errno::EEXIST);
        assert!(error.to_string().contains("loaded already"), "{error}");
    }
    // A copy is another file. Its name is taken, which its own load and unload do not disturb.
    let copy = scratch(".so");
    std::fs::copy(file.path(), copy.path()).unwrap();
    let controller = Controller::open(copy.path()).unwrap();
    let refused = world.engine.load(&mut world.host, controller).unwrap_err();
    assert_eq!(refused.errno(), Errno::EEXIST);
    assert!(!is_mapped(copy.path()));
    let task = world.spawn();
    let top = world.mount("witness").unwrap();
    assert_eq!(world.told_right(top, "witness")["forks"], 1, "the first is as it was");
    world.exit(task);
    world.unmount(top);
    world.unload("witness").unwrap();
    // The file that is there now, at the path where the old one was.
    let newer = module("witness", &[("NAME", "\"newer\"")]);
    std::fs::rename(newer.path(), file.path()).unwrap();
    world.load(file.path());
    assert_eq!(world.engine.subsystems().collect::<Vec<_>>(), ["newer"]);
}

/// What takes longer than its budget is reported by name: a load, a callback, an unload.
#[test]
fn a_slow_load_callback_and_unload_are_reported_by_name() {
    let file = module("witness", &[("SLOW", "300")]);
    let said = heard::during(|| {
        let mut world = World::new();
        let mut controller = Controller::open(file.path()).unwrap();
        controller.set_budget(Duration::from_millis(20));
        world.engine.load(&mut world.host, controller).unwrap();
        let top = world.mount("witness").unwrap();
        world.write(top, "witness.sleep", "200").unwrap();
        world.unmount(top);
        world.unload("witness").unwrap();
    });
    let about = |what: &str| said.iter().any(|line| line.starts_with("WARN") && line.contains(what));
    assert!(about("load has run for 100ms"), "{said:?}");
    assert!(about("witness.sleep has run for 20ms") && about("witness.sleep took"), "{said:?}");
    assert!(said.iter().all(|line| line.contains("module=\"")), "{said:?}");
    let slow_end = module("witness", &[("NAME", "\"dawdler\""), ("SLOW_END", "200")]);
    let said = heard::during(|| {
        let mut controller = Controller::open(slow_end.path()).unwrap();
        controller.set_budget(Duration::from_millis(20));
        drop(controller);
    });
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("dawdler") && said[0].contains("unload has run for 20ms"), "{said:?}");
}

/// One that hangs is named while it hangs: this one goes on only after that.
#[test]
fn hanging_callback_is_named_while_it_hangs() {
    let go = scratch(".go");
    let quoted = format!("\"{}\"", go.path().display());
    let file = module("witness", &[("NAME", "\"hanging\""), ("GO", &quoted)]);
    let said = heard::meanwhile(|said| {
        let mut world = World::new();
        let controller = Controller::open(file.path()).unwrap();
        let overruns = controller.overruns();
        world.engine.load(&mut world.host, controller).unwrap();
        let top = world.mount("hanging").unwrap();
        let named = |line: &String| line.contains("hanging.hang has run for 100ms and goes on");
        let stop = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) && !said.lock().unwrap().iter().any(named) {
                    thread::sleep(Duration::from_millis(5));
                }
                std::fs::write(go.path(), "").unwrap();
            });
            let written = world.write(top, "hanging.hang", "60");
            stop.store(true, Ordering::Relaxed);
            assert_eq!(written, Ok(()));
        });
        assert_eq!(overruns(), 1);
    });
    assert_eq!(said.len(), 2, "it is named once, and then what it took: {said:?}");
}
