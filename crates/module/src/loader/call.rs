//! Which code of a module is called.

/// A call into a module, as a number that fits beside another in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call(pub(super) u32);

/// By the numbers of the constants below.
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

impl Call {
    /// Constructors, too.
    pub(super) const LOAD: Call = Call(1);
    /// Destructors, too.
    pub(super) const UNLOAD: Call = Call(2);
    pub(super) const CREATE: Call = Call(3);
    pub(super) const DESTROY: Call = Call(4);
    pub(super) const PRE_DESTROY: Call = Call(5);
    pub(super) const CAN_ATTACH: Call = Call(6);
    pub(super) const CANCEL_ATTACH: Call = Call(7);
    pub(super) const ATTACH: Call = Call(8);
    pub(super) const CAN_FORK: Call = Call(9);
    pub(super) const CANCEL_FORK: Call = Call(10);
    pub(super) const FORK: Call = Call(11);
    pub(super) const EXIT: Call = Call(12);
    pub(super) const POST_CLONE: Call = Call(13);
    pub(super) const BIND: Call = Call(14);
    const FIRST_FILE: u32 = NAMES.len() as u32;

    /// A handler of the control file with this number.
    pub(super) fn of_file(number: u32) -> Call {
        Call(Call::FIRST_FILE + number)
    }

    /// The number of the control file; `None` for a callback.
    pub(super) fn file(self) -> Option<u32> {
        self.0.checked_sub(Call::FIRST_FILE)
    }

    /// The name of a callback.
    pub(super) fn name(self) -> &'static str {
        NAMES[self.0 as usize]
    }

    /// Is it a callback or a handler? Only these count as overruns: a load or an unload may take its time.
    pub(super) fn is_callback(self) -> bool {
        self != Call::LOAD && self != Call::UNLOAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_name() {
        for (call, name) in [
            (Call::LOAD, "its load"),
            (Call::UNLOAD, "unload"),
            (Call::CREATE, "create"),
            (Call::CANCEL_ATTACH, "cancel_attach"),
            (Call::FORK, "fork"),
            (Call::BIND, "bind"),
        ] {
            assert_eq!((call.name(), call.file()), (name, None));
        }
        assert_eq!(Call::of_file(0).file(), Some(0));
        assert_eq!(Call::of_file(7).file(), Some(7));
    }
}
