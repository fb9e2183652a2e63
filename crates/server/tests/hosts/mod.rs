//! The hosts that a test can run on, and a table of tests that run on each of them.
#![allow(dead_code, missing_docs, unreachable_pub, unused_macros, unused_imports)] // each test file uses its part

mod simulated;

use std::sync::Arc;

use penfold_linux::host::{HostHandle, OnChange};
use penfold_linux::trace::{StartError, start_host};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// Real processes under ptrace.
    Trace,
    /// Tasks in a table. It knows an adopted process while the process lives, but no child that the process makes.
    Simulated,
}

impl HostKind {
    pub fn start(self, on_change: OnChange) -> Result<Arc<dyn HostHandle>, StartError> {
        match self {
            HostKind::Trace => start_host(on_change),
            HostKind::Simulated => Ok(simulated::start(on_change)),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            HostKind::Trace => "trace",
            HostKind::Simulated => "simulated",
        }
    }
}

/// Makes two tests of each function, `trace::NAME` and `simulated::NAME`. `cargo test simulated::` needs no ptrace.
macro_rules! on_each_host {
    ($($test:ident),* $(,)?) => {
        mod trace {
            $(#[test]
            fn $test() {
                super::$test(super::HostKind::Trace);
            })*
        }
        mod simulated {
            $(#[test]
            fn $test() {
                super::$test(super::HostKind::Simulated);
            })*
        }
    };
}
pub(crate) use on_each_host;
