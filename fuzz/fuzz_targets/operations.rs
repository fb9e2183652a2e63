//! Sequences of every operation on core and on the naive model of its tests: both give the same answers and state.
//!
//! The operations come from the generator of the model test, so that a finding of one is a finding of both.
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

/// The number of bytes of the input for one operation. They are the seed of a random stream, not the stream itself. A
/// stream that has run dry gives zeros for ever, and a generator may then wait for another number for ever.
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
        // an error means that the bytes make no operation
        let Ok(tree) = one.new_tree(&mut runner) else { break };
        pair.step(&tree.current());
    }
    pair.check();
    pair.tear_down();
});
