//! Modules on real processes: the trace host with real shared objects. Needs `cc` and ptrace.
#![allow(missing_docs, unreachable_pub)]

mod hosted;
mod storm;
mod threads;
