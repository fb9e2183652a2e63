//! The services that a module's callbacks find in their context. A service runs on the thread of the callback, which
//! has the engine.
//!
//! [`contract`] names the conditions that a module guarantees. Everything that can be checked is checked: a css that
//! is not the module's own, a rule that the module does not have, a NULL.

mod cgroups;
mod contract;
mod counters;
mod tasks;
mod text_services;

use cgroups::{children, has_tasks, hierarchy_flags, parent, path, state, tasks};
use counters::{counter, cpu_usage, reset_cpu_usage, reset_peak, set_limit, set_refusing};
use tasks::{
    caller, caller_groups, cpu_limit, cpus, freeze, is_frozen, memory_nodes, node_limit, now, require,
    set_affinity, set_memory_nodes, set_socket_class, signal, task, thaw, threads,
};
use text_services::{explain, failed, log, put, put_line};

use crate::abi;

/// The table that every context points to.
pub(super) static TABLE: abi::RawServices = abi::RawServices {
    state,
    parent,
    children,
    tasks,
    has_tasks,
    path,
    hierarchy_flags,
    counter,
    set_limit,
    reset_peak,
    set_refusing,
    cpu_usage,
    reset_cpu_usage,
    caller,
    caller_groups,
    require,
    task,
    threads,
    now,
    cpus,
    memory_nodes,
    cpu_limit,
    node_limit,
    set_affinity,
    set_memory_nodes,
    freeze,
    thaw,
    is_frozen,
    set_socket_class,
    signal,
    put,
    put_line,
    explain,
    log,
    failed,
};
