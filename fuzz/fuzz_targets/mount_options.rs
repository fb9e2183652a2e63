//! Mount options: a mount that is refused changes nothing. The options that a mount shows can be mounted again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penfold_fuzz::World;

fuzz_target!(|text: &[u8]| {
    let mut world = World::default();
    let held = world.mount("pids,name=held").expect("the first mount");
    let before = world.engine.proc_cgroups();
    match world.mount(text) {
        Err(error) => {
            assert_ne!(error.errno().number(), 0);
            assert_eq!(world.engine.proc_cgroups(), before, "{text:?} was refused and has changed something");
            assert_eq!(world.engine.tree().hierarchies().count(), 1);
        }
        Ok(root) => {
            let shown = world.engine.show_options(root).expect("it is mounted");
            assert!(root == held || world.engine.tree().hierarchies().count() == 2);
            // a release agent's path may have a comma, which would separate options
            if root != held && !world.engine.tree().hierarchy_of(root).release_agent.contains(&b',') {
                let mut other = World::default();
                let bound = world.engine.subsystems_of(root).count() > 0;
                let options = if bound { shown.clone() } else { [b"none,", &*shown].concat() };
                let again =
                    other.mount(&options).unwrap_or_else(|error| panic!("{text:?} {options:?}: {error}"));
                assert_eq!(other.engine.show_options(again).expect("it is mounted"), shown);
            }
            let _ = world.engine.session(&mut world.host, &penfold_fuzz::root()).remount(root, text);
        }
    }
    let mut legacy = World::default();
    let _ = legacy.engine.session(&mut legacy.host, &penfold_fuzz::root()).mount_cpuset(text);
});
