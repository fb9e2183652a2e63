//! Modules on real processes: the trace host with real shared objects. Needs `cc` and ptrace.
#![allow(missing_docs, unreachable_pub)]

#[path = "../../../crates/module/tests/loaded/compile.rs"]
mod compile;
mod hosted;
mod storm;
mod threads;
