//! `net_cls` as a module, as it was in 2009. The controller itself is `crates/subsystems/src/net_cls.rs`. The feature
//! `net_cls` of the program builds the controller in instead.
#![forbid(unsafe_code)]

penfold_module::export!(penfold_subsystems::NetCls);
