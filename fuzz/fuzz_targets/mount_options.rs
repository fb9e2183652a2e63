//! Mount options: a mount that is refused changes nothing. The options that a mount shows can be mounted again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penfold_fuzz::world;

fuzz_target!(|text: &[u8]| {
    let mut world = world();
    let held = world.mount("pids,name=held");
    let before = world.engine.proc_cgroups();
    match world.try_mount(text) {
        Err(error) => {
            assert_ne!(error.number(), 0);
            assert_eq!(world.engine.proc_cgroups(), before, "{text:?} was refused and has changed something");
            assert_eq!(world.engine.tree().hierarchies().count(), 1);
        }
        Ok(root) => {
            let shown = world.engine.show_options(root).expect("it is mounted");
            assert!(root == held || world.engine.tree().hierarchies().count() == 2);
            // a release agent's path may have a comma, which would separate options
            if root != held && !world.engine.tree().hierarchy_of(root).release_agent.contains(&b',') {
                let mut other = penfold_fuzz::world();
                let bound = world.engine.subsystems_of(root).count() > 0;
                let options = if bound { shown.clone() } else { [b"none,", &*shown].concat() };
                let again =
                    other.try_mount(&options).unwrap_or_else(|errno| panic!("{text:?} {options:?}: {errno}"));
                assert_eq!(other.engine.show_options(again).expect("it is mounted"), shown);
            }
            let _ = world.try_remount(root, text);
        }
    }
    let _ = penfold_fuzz::world().try_mount_cpuset(text);
});
