//! A create that fails. Of five modules in one hierarchy, each fails in its turn.

use penfold_core::Errno;

use super::compile::{Object, module};
use super::world::World;

const NAMES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

fn five() -> (Vec<Object>, World) {
    let mut world = World::new();
    let files = NAMES
        .iter()
        .map(|name| {
            let quoted = format!("{name:?}");
            let file = module(
                "witness",
                &[("NAME", &quoted), ("RULE", ""), ("CLONE", ""), ("FORKS", ""), ("EXITS", "")],
            );
            world.load(file.path());
            file
        })
        .collect();
    (files, world)
}

/// A mkdir over five modules fails in the n-th. There is no new cgroup, css_set, limit or charge then, and each module
/// has freed the state that it had made.
#[test]
fn failed_create_over_five_modules_leaves_nothing() {
    let (_files, mut world) = five();
    let task = world.spawn();
    let top = world.mount("all,clone_children").unwrap();
    for failing in NAMES {
        let sets = world.engine.css_set_count();
        let limits = world.engine.can_refuse_fork();
        world.write(top, &format!("{failing}.fail"), "1").unwrap();
        assert_eq!(world.mkdir(top, "g"), Err(Errno::ENOMEM));
        for name in NAMES {
            let told = world.told_right(top, name);
            assert_eq!(told["states"], 1, "{name}, where {failing} failed: only the root's");
        }
        assert_eq!((world.engine.css_set_count(), world.engine.can_refuse_fork()), (sets, limits));
        assert_eq!(world.engine.tree()[top].child_count(), 0);
        let g = world.mkdir(top, "g").unwrap();
        for name in NAMES {
            assert_eq!(world.read(g, &format!("{name}.usage")).unwrap(), "0\n");
            assert_eq!(world.told_right(g, name)["states"], 2);
        }
        let child = world.fork(task).unwrap();
        world.attach(g, child).unwrap();
        world.exit(child);
        world.rmdir(g).unwrap();
    }
    world.unmount(top);
    for name in NAMES {
        world.unload(name).unwrap();
    }
    assert!(!world.engine.can_refuse_fork());
}

/// Failed creates at several depths, many times, so that numbers of states are reused.
#[test]
fn states_are_reused_after_creates_that_failed() {
    let (_files, mut world) = five();
    let top = world.mount("all").unwrap();
    let mut made = Vec::new();
    for round in 0_usize..60 {
        let failing = NAMES[round % 5];
        let parent = made.last().copied().unwrap_or(top);
        world.write(top, &format!("{failing}.fail"), "1").unwrap();
        assert_eq!(world.mkdir(parent, "x"), Err(Errno::ENOMEM));
        if round % 3 == 2 {
            world.rmdir(made.pop().unwrap()).unwrap();
        } else {
            let cgroup = world.mkdir(parent, "x").unwrap();
            world.write(cgroup, &format!("{failing}.value"), &round.to_string()).unwrap();
            made.push(cgroup);
            assert_eq!(world.read(cgroup, &format!("{failing}.value")).unwrap(), format!("{round}\n"));
        }
        for name in NAMES {
            assert_eq!(world.told_right(top, name)["states"], made.len() as u64 + 1);
        }
    }
}
