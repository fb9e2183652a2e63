//! Journals of any content: they are read as far as they make sense. The state built from a journal can be written and
//! built once more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penfold_server::journal::{Defaults, describe_all, parse, rebuild};

fuzz_target!(|lines: &[u8]| {
    let begin = br#"{"is":"begin","format":1,"place":{"boot":"b","pids":1,"mounts":1},"last":3}"#;
    let bytes = [begin, b"\n".as_slice(), lines].concat();
    let Some(image) = parse(&bytes).snapshot else { panic!("the first line is right") };
    let build = |image| {
        let mut world = penfold_fuzz::world();
        let mut rebuilt = rebuild(&mut world.engine, &mut world.host, image);
        rebuilt.freeze(&mut world.engine, &mut world.host);
        rebuilt.finish(&mut world.engine, &mut world.host);
        (describe_all(&mut world.engine, &mut world.host, &Defaults::new()), rebuilt.failures)
    };
    // a state that could be built can be built once more, with nothing lost
    let (first, _) = build(&image);
    let (second, failures) = build(&first);
    assert_eq!(failures, Vec::<String>::new());
    let names = |image: &penfold_server::journal::Snapshot| {
        image
            .by_age()
            .into_iter()
            .map(|cgroup| (cgroup.name.clone(), cgroup.values.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&second), names(&first));
});
