//! One subsystem, built in and as a module: both give the same transcript.
#![cfg(feature = "loader")]

mod description;
mod everything;
mod panics;
mod transcript;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use everything::{Everything, STATES};
use penfold_module::loader::Controller;
use penfold_module::{Capability, CpuTime, Errno, MoveScope, Tid, abi, simulated::ChildKind};
use transcript::TranscribedWorld;

static MODULE: abi::RawModule = penfold_module::describe!(Everything);

/// One test at a time: the count of states is one for all tests.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn as_module() -> Controller {
    Controller::from_static(&MODULE).expect("it is one")
}

/// Plays a script on the built-in subsystem and on the module. Checks that both transcripts are the same and that no
/// state is left, and returns the transcript.
fn same_both_ways(script: impl Fn(&mut TranscribedWorld)) -> String {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let play = |mut world: TranscribedWorld| {
        script(&mut world);
        let transcript = world.unload();
        assert_eq!(STATES.load(Ordering::Relaxed), 0, "states are left");
        transcript
    };
    let (built_in, module) =
        (play(TranscribedWorld::of(Everything::default())), play(TranscribedWorld::of(as_module())));
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
        world.attach(first, Tid(1), MoveScope::Task);
        let thread = world.fork(Tid(1), ChildKind::Thread).unwrap();
        let child = world.fork(Tid(1), ChildKind::Process).unwrap();
        world.write(world.top, "cgroup.clone_children", "1").unwrap();
        let clone = world.mkdir(world.top, "clone").unwrap();
        world.read(clone, "text");
        world.attach(clone, thread, MoveScope::ThreadGroup);
        let blocked = world.mkdir(clone, "blocked").unwrap();
        world.attach(blocked, child, MoveScope::Task);
        world.sim.exit(thread);

        let set = world.sim.engine.initial_css_set();
        let charge = world.sim.engine.charge_fork(&mut world.sim.host, Tid(2), set).expect("nobody minds");
        world.sim.engine.cancel_fork(&mut world.sim.host, charge);

        world.write(world.top, "act", "refuse yes").unwrap();
        world.write(world.top, "act", "deny create pre_destroy can_attach can_fork event").unwrap();
        assert_eq!(world.mkdir(world.top, "never"), None);
        world.rmdir(blocked);
        world.attach(first, Tid(3), MoveScope::ThreadGroup);
        assert_eq!(world.fork(Tid(1), ChildKind::Process), None);
        assert_eq!(world.write(world.top, "event", "x"), Err(Errno::EBUSY));
        world.look(clone);
        world.write(world.top, "act", "deny").unwrap();
        world.write(world.top, "act", "refuse no").unwrap();
        world.look(clone);
        for task in world.sim.host.tids() {
            world.sim.exit(task);
        }
        for cgroup in [blocked, clone, first] {
            world.rmdir(cgroup);
        }
        world.sim.unmount(world.top);
        let options = "every-thing_1,blocker";
        world.top = world.sim.mount(options);
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
fn every_service_answers_as_built_in() {
    let transcript = same_both_ways(|world| {
        let group = world.mkdir(world.top, "ä group").unwrap();
        for child in 0..50 {
            world.mkdir(group, &format!("child {child}"));
        }
        for _ in 0..70 {
            let task = world.sim.host.spawn(&mut world.sim.engine, 1000);
            world.attach(group, task, MoveScope::Task);
        }
        world.fork(Tid(4), ChildKind::Thread);
        world.sim.host.run(Tid(4), 69, CpuTime { user: 5, system: 6 });
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
            world.fork(Tid(4), ChildKind::Process);
        }
        world.read(group, "facts");
        world.look(group);
        for command in ["limit max", "reset_peak", "reset_time"] {
            world.write(group, "act", command).unwrap();
        }
        let user = penfold_module::Caller { umask: 0o77, ..penfold_module::Caller::user(Tid(6), 1000, 7) };
        let usual = std::mem::replace(&mut world.sim.caller, user);
        let _ = world.read(group, "facts");
        world.sim.caller = usual;
        for task in world.sim.host.tids() {
            world.sim.exit(task);
        }
        for child in 0..50 {
            let child = world.sim.engine.lookup(world.top, &format!("ä group/child {child}")).unwrap();
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
fn missing_capability_is_refused_with_the_hosts_reason() {
    let transcript = same_both_ways(|world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.sim.host.cannot = vec![Capability::ForkVeto, Capability::Freeze];
        for command in ["require", "limit 3", "refuse yes", "own"] {
            assert!(world.write(group, "act", command).is_err());
        }
        world.look(group);
        world.rmdir(group);
    });
    let wanted = [
        "write every-thing_1.act \"limit 3\" -> Err(\"every-thing_1.act: the simulated host can't give refusal of forks here: switched off for a test",
        "write every-thing_1.act \"refuse yes\" -> Err(\"every-thing_1.act: the simulated host can't give refusal of forks here: switched off",
        "write every-thing_1.act \"own\" -> Err(\"every-thing_1.act: a reason of its own Operation not permitted (EPERM)",
    ];
    contains_all(&transcript, &wanted);
}
