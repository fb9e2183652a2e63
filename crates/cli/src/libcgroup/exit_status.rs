//! The exit statuses of libcgroup's tools.

/// The exit statuses of each tool, for its help and manual page.
pub(super) const EXIT_STATUS: &str = "\
Exit status:
  0    everything was done
  1    something was refused or failed; each failure is one line on standard error, with the errno's name
  125  wrong arguments";
