//! Random sequences of every operation of the core, compared with a naive model step by step. Every step gives the same
//! errno, and every few steps show the same observable state. `PROPTEST_CASES` raises the number of sequences.

mod common;
// The texts are short and made once for each check, so readability counts more than speed.
#[allow(unreachable_pub, clippy::format_push_string, clippy::format_collect)]
mod model {
    pub mod check;
    pub mod directory;
    pub mod drive;
    pub mod naive;
    pub mod op;
    pub mod options;
    pub mod tasks;
}

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::drive::CoreAndModel;
use model::op::op;
use penfold_core::Errno;
use proptest::prelude::*;

/// Sequences of each run by default, and steps of the longest; on the average half as many.
const CASES: u32 = 250;
const STEPS: usize = 1000;

/// The answers that the sequences of one run must have met, so that the comparison means something.
const MUST_BE_SEEN: &[(&str, &[Option<Errno>])] = &[
    ("Mount", &[None, Some(Errno::EBUSY), Some(Errno::EINVAL), Some(Errno::EPERM)]),
    ("Remount", &[None, Some(Errno::EBUSY), Some(Errno::EINVAL)]),
    ("Unmount", &[None, Some(Errno::EINVAL)]),
    ("Mkdir", &[None, Some(Errno::EEXIST), Some(Errno::EACCES), Some(Errno::EINVAL), Some(Errno::ENOMEM)]),
    ("Rmdir", &[None, Some(Errno::EBUSY), Some(Errno::EACCES), Some(Errno::EIO)]),
    ("Rename", &[None, Some(Errno::EEXIST), Some(Errno::ENOTDIR), Some(Errno::EINVAL)]),
    ("RenameElsewhere", &[None, Some(Errno::EIO), Some(Errno::EINVAL)]),
    ("Attach", &[None, Some(Errno::EACCES), Some(Errno::EAGAIN), Some(Errno::ENOSPC)]),
    ("WriteTask", &[None, Some(Errno::ESRCH), Some(Errno::EINVAL)]),
    ("Begin", &[None, Some(Errno::EAGAIN), Some(Errno::ENOMEM)]),
    ("Commit", &[None]),
    ("Cancel", &[None]),
    ("Load", &[None, Some(Errno::EEXIST), Some(Errno::ENOMEM)]),
    ("Unload", &[None, Some(Errno::ENOENT), Some(Errno::EBUSY), Some(Errno::EIO)]),
    ("Limit", &[None]),
    ("Stale", &[None]),
    ("Release", &[None]),
];

#[test]
fn core_does_what_the_naive_model_does() {
    let default = ProptestConfig::default();
    let chosen = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig {
        cases: if chosen { default.cases } else { CASES },
        max_shrink_iters: 200_000,
        failure_persistence: None,
        ..default
    };
    let seen: Mutex<BTreeMap<(String, Option<Errno>), u64>> = Mutex::default();
    proptest!(config, |(ops in prop::collection::vec(op(), 0..STEPS))| {
        let mut pair = CoreAndModel::new();
        for op in &ops {
            pair.step(op);
        }
        pair.check();
        pair.tear_down();
        for (answer, times) in pair.seen {
            *seen.lock().unwrap().entry(answer).or_default() += times;
        }
    });
    let seen = seen.into_inner().unwrap();
    println!("{} steps: {seen:?}", seen.values().sum::<u64>());
    // A model that never gets anywhere proves nothing.
    for (op, answers) in MUST_BE_SEEN {
        for &answer in *answers {
            assert!(seen.get(&((*op).to_owned(), answer)) > Some(&0), "{op} never answered {answer:?}");
        }
    }
}
