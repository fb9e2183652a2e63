//! Sequences of every operation against the naive model of the core's tests: the same answers, the same state.
//!
//! The bytes are the randomness of the model test's own generator, so that a finding of either is one of both.
#![no_main]
#![allow(missing_docs, dead_code, unreachable_pub)] // the modules are those of the tests

#[path = "../../crates/core/tests/common/mod.rs"]
mod common;
mod model {
    #[path = "../../../crates/core/tests/model/check.rs"]
    pub mod check;
    #[path = "../../../crates/core/tests/model/directory.rs"]
    pub mod directory;
    #[path = "../../../crates/core/tests/model/drive.rs"]
    pub mod drive;
    #[path = "../../../crates/core/tests/model/naive.rs"]
    pub mod naive;
    #[path = "../../../crates/core/tests/model/op.rs"]
    pub mod op;
    #[path = "../../../crates/core/tests/model/options.rs"]
    pub mod options;
    #[path = "../../../crates/core/tests/model/tasks.rs"]
    pub mod tasks;
}

use libfuzzer_sys::fuzz_target;
use model::drive::Pair;
use model::op::op;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// About what one operation takes.
const BYTES_EACH: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let steps = bytes.len() / BYTES_EACH;
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let one = op();
    let mut pair = Pair::new();
    for _ in 0..steps.min(400) {
        // an error says that the bytes lead nowhere
        let Ok(tree) = one.new_tree(&mut runner) else { break };
        pair.step(&tree.current());
    }
    pair.check();
    pair.tear_down();
});
