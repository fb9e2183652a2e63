//! The hosts of penfold on Linux.
