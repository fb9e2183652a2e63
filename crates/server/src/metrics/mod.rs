//! `penfold serve --metrics ADDRESS`: OpenMetrics over HTTP, for Prometheus and its kind.
//!
//! | name | meaning |
//! |---|---|
//! | `penfold_daemon_info` | version and process id of the daemon, as labels |
//! | `penfold_cgroups{hierarchy}` | how many cgroups, the root included |
//! | `penfold_tasks{hierarchy,path}` | supervised tasks in the cgroup itself, without those in cgroups below |
//! | `penfold_cpu_seconds_total{hierarchy,path,mode}` | CPU time in `user` or `system` mode, with cgroups below (`cpuacct`) |
//! | `penfold_limit{hierarchy,path,file}` | the limit that this control file sets, where it is finite |
//! | `penfold_used{hierarchy,path,file}` | amount counted against the limit, with cgroups below |
//! | `penfold_peak{hierarchy,path,file}` | the highest amount ever counted |
//! | `penfold_refusals_total{hierarchy,path,file}` | how often this limit has refused |
//! | `penfold_cgroups_left_out` | how many cgroups have no series of their own |
//!
//! At most [`SHOWN`] cgroups have series of their own: those nearest to the roots. The others are summed into series
//! with the path `…`, which no cgroup has. The label `hierarchy` is the hierarchy's name, or its subsystems.

mod address;
mod collect;
mod responder;

pub use address::MetricsAddress;
pub use collect::{SHOWN, scrape};
pub use responder::Responder;
