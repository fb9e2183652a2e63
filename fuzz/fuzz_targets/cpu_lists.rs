//! Lists of CPUs: a list that is parsed and printed is parsed as the same list, and a file that takes a list shows it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penfold_core::host::IndexSet;
use penfold_fuzz::CPUS;

fuzz_target!(|text: &str| {
    for limit in [1, 64, 70, 8192] {
        if let Ok(mask) = IndexSet::parse_list(text, limit) {
            assert!(mask.last().is_none_or(|last| last < limit), "{text:?}");
            let printed = mask.to_string();
            assert_eq!(IndexSet::parse_list(&printed, limit).as_ref(), Ok(&mask), "{text:?} {printed:?}");
            assert_eq!(IndexSet::from_words(&mask.to_words()), mask);
        }
    }
    let mut world = penfold_fuzz::world();
    let root = world.mount("cpuset");
    let cgroup = world.mkdir(root, "a");
    let before = world.read(cgroup, "cpuset.cpus");
    let taken = world.try_write(cgroup, "cpuset.cpus", text);
    let now = world.read(cgroup, "cpuset.cpus");
    match taken {
        Ok(()) if !text.is_empty() => {
            let mask = IndexSet::parse_list(now.trim_end(), CPUS).expect("what is shown is a list");
            let text = text.split('\0').next().unwrap_or_default();
            let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
            assert_eq!(IndexSet::parse_list(text, CPUS), Ok(mask));
        }
        _ => assert_eq!(now, before),
    }
});
