//! Numbers and names for the entry points of a module.

/// An entry point of a module, as a number of 32 bits: the watchdog keeps two such numbers in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModuleCall(pub(super) u32);

/// The index is the number of the constant below.
const NAMES: [&str; 15] = [
    "nothing",
    "its load",
    "unload",
    "create",
    "destroy",
    "pre_destroy",
    "can_attach",
    "cancel_attach",
    "attach",
    "can_fork",
    "cancel_fork",
    "fork",
    "exit",
    "post_clone",
    "bind",
];

impl ModuleCall {
    /// `load` and the constructors of the file.
    pub(super) const LOAD: ModuleCall = ModuleCall(1);
    /// `unload` and the destructors of the file.
    pub(super) const UNLOAD: ModuleCall = ModuleCall(2);
    pub(super) const CREATE: ModuleCall = ModuleCall(3);
    pub(super) const DESTROY: ModuleCall = ModuleCall(4);
    pub(super) const PRE_DESTROY: ModuleCall = ModuleCall(5);
    pub(super) const CAN_ATTACH: ModuleCall = ModuleCall(6);
    pub(super) const CANCEL_ATTACH: ModuleCall = ModuleCall(7);
    pub(super) const ATTACH: ModuleCall = ModuleCall(8);
    pub(super) const CAN_FORK: ModuleCall = ModuleCall(9);
    pub(super) const CANCEL_FORK: ModuleCall = ModuleCall(10);
    pub(super) const FORK: ModuleCall = ModuleCall(11);
    pub(super) const EXIT: ModuleCall = ModuleCall(12);
    pub(super) const POST_CLONE: ModuleCall = ModuleCall(13);
    pub(super) const BIND: ModuleCall = ModuleCall(14);
    const FIRST_FILE: u32 = NAMES.len() as u32;

    /// A handler of the control file with this number.
    pub(super) fn of_file(number: u32) -> ModuleCall {
        ModuleCall(ModuleCall::FIRST_FILE + number)
    }

    /// The number of the control file; `None` for a callback.
    pub(super) fn file(self) -> Option<u32> {
        self.0.checked_sub(ModuleCall::FIRST_FILE)
    }

    /// The name of a callback.
    pub(super) fn name(self) -> &'static str {
        NAMES[self.0 as usize]
    }

    /// True for callbacks and handlers. Only these count as overruns: a load or an unload may take longer.
    pub(super) fn is_callback(self) -> bool {
        self != ModuleCall::LOAD && self != ModuleCall::UNLOAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_name() {
        for (call, name) in [
            (ModuleCall::LOAD, "its load"),
            (ModuleCall::UNLOAD, "unload"),
            (ModuleCall::CREATE, "create"),
            (ModuleCall::CANCEL_ATTACH, "cancel_attach"),
            (ModuleCall::FORK, "fork"),
            (ModuleCall::BIND, "bind"),
        ] {
            assert_eq!((call.name(), call.file()), (name, None));
        }
        assert_eq!(ModuleCall::of_file(0).file(), Some(0));
        assert_eq!(ModuleCall::of_file(7).file(), Some(7));
    }
}
