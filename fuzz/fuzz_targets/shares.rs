//! Shares of numtasks: children are never guaranteed more than their parent has, and the shown content can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penfold_core::CgroupId;
use penfold_fuzz::seen;
use penfold_testkit::SimWorld;

struct ShownShares {
    min: i64,
    max: i64,
    divisor: i64,
}

fn shown(world: &mut SimWorld, cgroup: CgroupId) -> ShownShares {
    let text = world.read(cgroup, "numtasks.shares");
    let field = |name: &str| -> i64 {
        let (_, rest) = text.split_once(&format!("{name}=")).expect("it is shown");
        rest.split([',', '\n']).next().and_then(|number| number.parse().ok()).expect("a number")
    };
    ShownShares { min: field("min_shares"), max: field("max_shares"), divisor: field("child_shares_divisor") }
}

// In each line the first byte chooses the group whose shares are written, and the rest is the content.
fuzz_target!(|input: &[u8]| {
    let mut world = penfold_fuzz::world();
    let root = world.mount("numtasks");
    let a = world.mkdir(root, "a");
    let groups = [root, a, world.mkdir(root, "b"), world.mkdir(a, "c"), world.mkdir(a, "d")];
    let children: [&[usize]; 5] = [&[1, 2], &[3, 4], &[], &[], &[]];
    for line in input.split(|&byte| byte == b'\n').take(40) {
        let Some((&whose, text)) = line.split_first() else { continue };
        let group = groups[usize::from(whose) % groups.len()];
        let before = seen(&mut world, &groups);
        let file = if whose >= 0xf0 { "numtasks.total_numtasks" } else { "numtasks.shares" };
        let target = if whose >= 0xf0 { root } else { group };
        if world.try_write(target, file, text).is_err() {
            assert_eq!(seen(&mut world, &groups), before, "{text:?} was refused and has changed something");
        }
        let all: Vec<ShownShares> = groups.iter().map(|&group| shown(&mut world, group)).collect();
        for (parent, children) in all.iter().zip(children) {
            let guaranteed: i64 = children.iter().map(|&child| all[child].min.max(0)).sum();
            assert!(guaranteed <= parent.divisor, "{guaranteed} of {}", parent.divisor);
            for &child in children {
                assert!(all[child].max <= parent.divisor);
                assert!(all[child].min < 0 || all[child].max < 0 || all[child].min <= all[child].max);
            }
        }
        // a write of the present content changes nothing
        let before = seen(&mut world, &groups);
        let text = world.read(group, "numtasks.shares");
        world.write(group, "numtasks.shares", text);
        assert_eq!(seen(&mut world, &groups), before);
    }
});
