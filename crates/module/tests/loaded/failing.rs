//! A create that fails. Of five modules in one hierarchy, each fails in its turn.

use penfold_core::Errno;
use penfold_testkit::{SimWorld, TempFile, c_module};

use super::account::Modules as _;

const NAMES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

fn five() -> (Vec<TempFile>, SimWorld) {
    let mut world = SimWorld::new();
    let files = NAMES
        .iter()
        .map(|name| {
            let quoted = format!("{name:?}");
            let file = c_module(
                "witness",
                &[("NAME", &quoted), ("RULE", ""), ("CLONE", ""), ("FORKS", ""), ("EXITS", "")],
            );
            world.load_file(file.path());
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
    let top = world.mount("all,clone_children");
    for failing in NAMES {
        let sets = world.engine.css_set_count();
        let limits = world.engine.can_refuse_fork();
        world.write(top, &format!("{failing}.fail"), "1");
        assert_eq!(world.try_mkdir(top, "g"), Err(Errno::ENOMEM));
        for name in NAMES {
            let told = world.sound_account(top, name);
            assert_eq!(told["states"], 1, "{name}, where {failing} failed: only the root's");
        }
        assert_eq!((world.engine.css_set_count(), world.engine.can_refuse_fork()), (sets, limits));
        assert_eq!(world.engine.tree()[top].child_count(), 0);
        let g = world.mkdir(top, "g");
        for name in NAMES {
            assert_eq!(world.read(g, &format!("{name}.usage")), "0\n");
            assert_eq!(world.sound_account(g, name)["states"], 2);
        }
        let child = world.fork(task);
        world.attach(g, child);
        world.exit(child);
        world.rmdir(g);
    }
    world.unmount(top);
    for name in NAMES {
        world.unload(name);
    }
    assert!(!world.engine.can_refuse_fork());
}

/// Failed creates at several depths, many times, so that numbers of states are reused.
#[test]
fn states_are_reused_after_creates_that_failed() {
    let (_files, mut world) = five();
    let top = world.mount("all");
    let mut made = Vec::new();
    for round in 0_usize..60 {
        let failing = NAMES[round % 5];
        let parent = made.last().copied().unwrap_or(top);
        world.write(top, &format!("{failing}.fail"), "1");
        assert_eq!(world.try_mkdir(parent, "x"), Err(Errno::ENOMEM));
        if round % 3 == 2 {
            world.rmdir(made.pop().unwrap());
        } else {
            let cgroup = world.mkdir(parent, "x");
            world.write(cgroup, &format!("{failing}.value"), round.to_string());
            made.push(cgroup);
            assert_eq!(world.read(cgroup, &format!("{failing}.value")), format!("{round}\n"));
        }
        for name in NAMES {
            assert_eq!(world.sound_account(top, name)["states"], made.len() as u64 + 1);
        }
    }
}
