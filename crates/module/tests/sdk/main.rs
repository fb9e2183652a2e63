//! One subsystem, built in and as a module: nobody can tell the difference.
#![cfg(feature = "loader")]

mod description;
mod everything;
mod panics;
mod world;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use everything::{Everything, STATES};
use penfold_module::loader::Controller;
use penfold_module::{Capability, CpuTime, Errno, Tid, abi};
use world::World;

static MODULE: abi::Module = penfold_module::describe!(Everything);

/// The states are counted for all tests together.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn as_module() -> Controller {
    Controller::from_static(&MODULE).expect("it is one")
}

/// Both transcripts, which are to be the same, and all states gone.
fn same_both_ways(script: impl Fn(&mut World)) -> String {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let play = |mut world: World| {
        script(&mut world);
        let transcript = world.unload();
        assert_eq!(STATES.load(Ordering::Relaxed), 0, "states are left");
        transcript
    };
    let (built_in, module) = (play(World::of(Everything::default())), play(World::of(as_module())));
    for (expected, found) in built_in.lines().zip(module.lines()) {
        assert_eq!(expected, found, "built in, and as a module");
    }
    assert_eq!(built_in, module);
    built_in
}

fn contains_all(transcript: &str, wanted: &[&str]) {
    for wanted in wanted {
        if !transcript.contains(wanted) {
            println!("{transcript}");
            panic!("no {wanted:?} in the transcript");
        }
    }
}

#[test]
fn every_file_is_read_and_written() {
    let transcript = same_both_ways(|world| {
        let group = world.mkdir(world.top, "group").unwrap();
        for file in ["number", "signed", "text", "twin", "map", "event", "log", "facts", "act", "neither"] {
            for cgroup in [world.top, group] {
                world.read(cgroup, file);
                for text in ["7", " 0x20\n", "-12", "1001", "", "5\0x", "ein Wörtchen\n", &"x".repeat(5000)]
                {
                    let _ = world.write(cgroup, file, text);
                }
                world.read(cgroup, file);
            }
        }
        for (file, text) in [("signed", "13"), ("number", "13"), ("number", &"0".repeat(21))] {
            let _ = world.write(group, file, text);
            world.read(group, file);
        }
        world.read(group, "map");
        world.look(group);
        world.rmdir(group);
    });
    let wanted = [
        "7: nothing yet",
        "18446744073709551615: 18446744073709551615 wrote \\\"ein Wörtchen\\\"",
        "größter 18446744073709551615",
        "Err(\"every-thing_1.number: at most 1000 Numerical result out of range (ERANGE)\")",
        "Err(\"every-thing_1.signed: 13 can't be read Input/output error (EIO)\")",
        "Err(\"every-thing_1.map: 13 is nobody's number",
        "at most 20 bytes in one write",
        "at most 4096 bytes in one write",
        "mode: 416",
    ];
    contains_all(&transcript, &wanted);
}

#[test]
fn every_callback_is_called_and_may_refuse() {
    let transcript = same_both_ways(|world| {
        let first = world.mkdir(world.top, "first").unwrap();
        world.attach(first, Tid(1), false);
        let thread = world.fork(Tid(1), true).unwrap();
        let child = world.fork(Tid(1), false).unwrap();
        world.write(world.top, "cgroup.clone_children", "1").unwrap();
        let clone = world.mkdir(world.top, "clone").unwrap();
        world.read(clone, "text");
        world.attach(clone, thread, true);
        let blocked = world.mkdir(clone, "blocked").unwrap();
        world.attach(blocked, child, false);
        world.host.exit(&mut world.engine, thread);

        let set = world.engine.initial_css_set();
        let charge = world.engine.charge_fork(&mut world.host, Tid(2), set).expect("nobody minds");
        world.engine.cancel_fork(&mut world.host, charge);

        world.write(world.top, "act", "refuse yes").unwrap();
        world.write(world.top, "act", "deny create pre_destroy can_attach can_fork event").unwrap();
        assert_eq!(world.mkdir(world.top, "never"), None);
        world.rmdir(blocked);
        world.attach(first, Tid(3), true);
        assert_eq!(world.fork(Tid(1), false), None);
        assert_eq!(world.write(world.top, "event", "x"), Err(Errno::EBUSY));
        world.look(clone);
        world.write(world.top, "act", "deny").unwrap();
        world.write(world.top, "act", "refuse no").unwrap();
        world.look(clone);
        for task in world.host.tids() {
            world.host.exit(&mut world.engine, task);
        }
        for cgroup in [blocked, clone, first] {
            world.rmdir(cgroup);
        }
        world.engine.unmount(&mut world.host, world.top).unwrap();
        let options = "every-thing_1,blocker";
        world.top = world.engine.mount(&mut world.host, &world.root, options).unwrap().root;
        world.read(world.top, "log");
    });
    let wanted = [
        "create: css 0 of None",
        "fork 3: css 0 of None",
        "create: css 1 of Some(0)",
        "can_attach [Migration { task: Tid(1), from: Css(0), to: Css(1) }]: css 1 of Some(0)",
        "attach [Migration { task: Tid(1), from: Css(0), to: Css(1) }]: css 1 of Some(0)",
        "can_fork 1: css 1 of None",
        "post_clone: css 2",
        "a clone",
        "cancel_attach [Migration { task: Tid(5), ",
        "exit 4: css 2 of None",
        "cancel_fork: css 0 of None",
        "mkdir never -> Err(\"every-thing_1: create was told to refuse",
        "rmdir -> Err(\"every-thing_1: pre_destroy was told to refuse",
        "attach 3 -> Err(\"every-thing_1: can_attach was told to refuse",
        "fork of 1 -> Err(\"every-thing_1: refuses the fork",
        "every-thing_1.event: the event was told to refuse",
        "LimitHit { hierarchy: 1, ",
        "file: \"every-thing_1.event\"",
        "destroy \\\"a clone\\\": css 2",
        "bind 1: css 0 of None",
    ];
    contains_all(&transcript, &wanted);
}

#[test]
fn every_service_answers() {
    let transcript = same_both_ways(|world| {
        let group = world.mkdir(world.top, "ä group").unwrap();
        for child in 0..50 {
            world.mkdir(group, &format!("child {child}"));
        }
        for _ in 0..70 {
            let task = world.host.spawn(&mut world.engine, 1000);
            world.attach(group, task, false);
        }
        world.fork(Tid(4), true);
        world.host.run(Tid(4), 69, CpuTime { user: 5, system: 6 });
        world.read(group, "facts");
        for command in [
            "limit 3",
            "affinity 4 0-2,69",
            "memory 5 0 1-2 migrate",
            "memory 6 0 2 leave",
            "freeze 7",
            "freeze 8",
            "thaw 8",
            "class 9 1048577",
            "signal 10 15",
            "signal 9999 15",
            "class 9999 1",
            "affinity 9999 0",
            "require",
            "own",
            "no idea",
        ] {
            let _ = world.write(group, "act", command);
        }
        world.look(group);
        for _ in 0..4 {
            world.fork(Tid(4), false);
        }
        world.read(group, "facts");
        world.look(group);
        for command in ["limit max", "reset_peak", "reset_time"] {
            world.write(group, "act", command).unwrap();
        }
        let anybody = world.root.clone();
        world.root = penfold_module::Caller { umask: 0o77, ..penfold_module::Caller::user(Tid(6), 1000, 7) };
        let _ = world.read(group, "facts");
        world.root = anybody;
        for task in world.host.tids() {
            world.host.exit(&mut world.engine, task);
        }
        for child in 0..50 {
            let child = world.engine.lookup(world.top, &format!("ä group/child {child}")).unwrap();
            world.rmdir(child);
        }
        world.rmdir(group);
    });
    let wanted = [
        "parent Some(Css(0)) root false",
        "Css(51)]",
        "path \\\"/ä group\\\" flags HierarchyFlags(XATTR)",
        "groups: [0, 1, 2",
        "98, 99], umask: 18, privileged: true",
        "state of the parent Some(7001)",
        "CpuTime { user: 5, system: 6 }",
        "alive true false",
        "cpus 0-69 of 70",
        "nodes 0-2 of 1024",
        "now 1234",
        "Tid(73), Tid(74)]",
        "real_uid: 1000",
        "nobody None []",
        "fork of 4 -> Err(\"every-thing_1: refuses the fork No space left on device (ENOSPC)\")",
        "umask: 63, privileged: false",
    ];
    contains_all(&transcript, &wanted);
}

#[test]
fn what_the_host_can_not_give_is_refused_with_its_own_reason() {
    let transcript = same_both_ways(|world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.host.cannot = vec![Capability::ForkVeto, Capability::Freeze];
        for command in ["require", "limit 3", "refuse yes", "own"] {
            assert!(world.write(group, "act", command).is_err());
        }
        world.look(group);
        world.rmdir(group);
    });
    let wanted = [
        "write every-thing_1.act \"limit 3\" -> Err(\"every-thing_1.act: the simulated host can't give refusal of forks here: it was told",
        "write every-thing_1.act \"refuse yes\" -> Err(\"every-thing_1.act: the simulated host can't give refusal of forks here: it was",
        "write every-thing_1.act \"own\" -> Err(\"every-thing_1.act: a reason of its own Operation not permitted (EPERM)",
    ];
    contains_all(&transcript, &wanted);
}
