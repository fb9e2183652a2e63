//! The services that a module's callbacks find in their context. These functions run on the module's thread; what needs
//! the engine or the host is run by the engine's thread, which waits for exactly that.
//!
//! Whatever a module passes is looked at first: a css that is not its own, a rule that it has not, a NULL. What can't be
//! told from a good pointer is trusted, as everywhere in C.

mod ask;
mod cgroups;
mod counters;
mod tasks;
mod words;

use cgroups::{children, has_tasks, hierarchy_flags, parent, path, state, tasks};
use counters::{counter, cpu_usage, reset_cpu_usage, reset_peak, set_limit, set_refusing};
use tasks::{
    caller, caller_groups, cpu_limit, cpus, freeze, is_frozen, memory_nodes, node_limit, now, require,
    set_affinity, set_memory_nodes, set_socket_class, signal, task, thaw, threads,
};
use words::{explain, failed, log, put, put_line};

use crate::abi;

/// What every context points to.
pub(super) static TABLE: abi::Services = abi::Services {
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
