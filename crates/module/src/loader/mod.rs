//! Loading and unloading modules.
