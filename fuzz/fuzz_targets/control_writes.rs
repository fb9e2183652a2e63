//! Writes to every control file: a write that is refused has changed nothing, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penfold_core::Tid;
use penfold_fuzz::{seen, world};

// In each line two bytes choose the cgroup and the file, and the rest is the content. A backslash stands for a newline.
fuzz_target!(|input: &[u8]| {
    let mut world = world();
    let at = world.mount("all,clone_children");
    let a = world.mkdir(at, "a");
    let cgroups = [at, a, world.mkdir(at, "b"), world.mkdir(a, "c")];
    let tasks: Vec<Tid> = (0..3).map(|_| world.host.spawn(&mut world.engine, 1000)).collect();
    for line in input.split(|&byte| byte == b'\n').take(40) {
        let [which, file, content @ ..] = line else { continue };
        let cgroup = cgroups[usize::from(*which) % cgroups.len()];
        let files = world.engine.files(cgroup).expect("it lives");
        let file = &files[usize::from(*file) % files.len()];
        let content: Vec<u8> = content.iter().map(|&byte| if byte == b'\\' { b'\n' } else { byte }).collect();
        let before = seen(&mut world, &cgroups);
        if let Err(error) = world.try_write_opened(cgroup, file.id, &content) {
            let now = seen(&mut world, &cgroups);
            for (now, before) in now.iter().zip(&before) {
                assert_eq!(now, before, "{} {content:?} was refused ({error})", file.name);
            }
        }
    }
    let listed: usize = cgroups.iter().map(|&cgroup| world.tasks(cgroup).len()).sum();
    assert_eq!(listed, tasks.len(), "each task is in one cgroup");
});
