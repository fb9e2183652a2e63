//! Sequences of every operation against the naive model of the core's tests: the same answers, the same state.
//!
//! The operations come from the model test's own generator, so that a finding of either is one of both.
#![no_main]
#![allow(missing_docs, dead_code, unreachable_pub)] // the modules are those of the tests

#[path = "../../crates/core/tests/common/mod.rs"]
mod common;
#[path = "../../crates/core/tests/model"]
mod model {
    pub mod check;
    pub mod directory;
    pub mod drive;
    pub mod naive;
    pub mod op;
    pub mod options;
    pub mod tasks;
}

use libfuzzer_sys::fuzz_target;
use model::drive::CoreAndModel;
use model::op::op;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// What one operation is made of. It is the seed of a generator and not its stream: one that has run dry gives zeros for
/// ever, and a generator may wait for ever for something else.
const BYTES_EACH: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let one = op();
    let mut pair = CoreAndModel::new();
    for chunk in bytes.chunks_exact(BYTES_EACH).take(400) {
        let mut seed = [0; 32];
        seed[..BYTES_EACH].copy_from_slice(chunk);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner =
            TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
        // an error says that the bytes lead nowhere
        let Ok(tree) = one.new_tree(&mut runner) else { break };
        pair.step(&tree.current());
    }
    pair.check();
    pair.tear_down();
});
