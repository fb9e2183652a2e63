//! The verbs that work on a daemon's engine, one file each.

pub(crate) mod attach;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod freeze;
pub(crate) mod get;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod mkdir;
pub(crate) mod module;
pub(crate) mod mv;
pub(crate) mod overview;
pub(crate) mod owner;
pub(crate) mod proc;
pub(crate) mod ps;
pub(crate) mod rmdir;
pub(crate) mod set;
pub(crate) mod top;
pub(crate) mod tree;

/// The exit statuses of these verbs, for their help and manual pages.
pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0    everything was done
  1    something was refused or failed; each failure is one line on standard error, with the errno's name
  125  wrong arguments";
