//! Random sequences of every operation of the core, compared with a naive model step by step: the same errno, and
//! every few steps the same observable state. `PROPTEST_CASES` raises the number of sequences.

mod common;
#[allow(unreachable_pub)]
mod model {
    pub mod check;
    pub mod directory;
    pub mod drive;
    pub mod naive;
    pub mod op;
    pub mod options;
    pub mod tasks;
}

use model::drive::Pair;
use model::op::op;
use proptest::prelude::*;

/// Sequences of each run by default, and steps of the longest; on the average half as many.
const CASES: u32 = 250;
const STEPS: usize = 900;

#[test]
fn the_core_does_what_the_naive_model_does() {
    let default = ProptestConfig::default();
    let chosen = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig {
        cases: if chosen { default.cases } else { CASES },
        max_shrink_iters: 200_000,
        failure_persistence: None,
        ..default
    };
    proptest!(config, |(ops in prop::collection::vec(op(), 0..STEPS))| {
        let mut pair = Pair::new();
        ops.iter().for_each(|op| pair.step(op));
        pair.check();
        pair.tear_down();
    });
}
