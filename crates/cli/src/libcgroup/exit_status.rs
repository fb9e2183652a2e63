//! How the tools of libcgroup end.

/// What the manual of each says of its exit status.
pub(super) const EXIT_STATUS: &str = "\
Exit status:
  0    everything was done
  1    something was refused or failed; each failure is one line on standard error, with the errno's name
  125  wrong arguments";
