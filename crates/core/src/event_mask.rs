//! Who wants to be told what: masks recomputed at load and unload, asked on every event.

use bitflags::bitflags;

use crate::counter::Resource;
use crate::slot::Slot;
use crate::subsystem::Callbacks;

bitflags! {
    /// What the loaded subsystems want from the host. With nothing wanted a fork does no callback work at all:
    /// the promise of 2006 (C5.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct EventMask: u32 {
        /// Someone counts tasks or forks, or has a fork callback.
        const FORK = 1;
        /// Someone counts tasks or has an exit callback.
        const EXIT = 1 << 1;
        /// Someone may refuse a fork: has `can_fork`, or a rule whose limit could be set.
        const MAY_REFUSE_FORK = 1 << 2;
        /// Someone counts CPU time.
        const CPU_TIME = 1 << 3;
        /// Someone counts sockets.
        const SOCKETS = 1 << 4;
    }
}

/// One bit for each slot that is interested.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Masks {
    pub(crate) event_mask: EventMask,
    /// Slots with a rule on tasks or forks.
    pub(crate) charges: u64,
    pub(crate) can_fork: u64,
    pub(crate) fork: u64,
    pub(crate) exit: u64,
    pub(crate) cpu_time: u64,
}

impl Masks {
    pub(crate) fn of(slots: &[Option<Slot>]) -> Masks {
        let mut masks = Masks::default();
        for (index, slot) in
            slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
        {
            let bit = 1 << index;
            let set = |mask: &mut u64, wanted: bool| *mask |= if wanted { bit } else { 0 };
            set(&mut masks.charges, slot.counts(Resource::Tasks) || slot.counts(Resource::Forks));
            set(&mut masks.can_fork, slot.callbacks.contains(Callbacks::CAN_FORK));
            set(&mut masks.fork, slot.callbacks.contains(Callbacks::FORK));
            set(&mut masks.exit, slot.callbacks.contains(Callbacks::EXIT));
            set(&mut masks.cpu_time, slot.counts(Resource::CpuTime));
            masks.event_mask.set(
                EventMask::SOCKETS,
                masks.event_mask.contains(EventMask::SOCKETS) || slot.counts(Resource::Sockets),
            );
        }
        masks.event_mask.set(EventMask::FORK, masks.charges | masks.fork | masks.can_fork != 0);
        masks.event_mask.set(EventMask::EXIT, masks.charges | masks.exit != 0);
        masks.event_mask.set(EventMask::MAY_REFUSE_FORK, masks.charges | masks.can_fork != 0);
        masks.event_mask.set(EventMask::CPU_TIME, masks.cpu_time != 0);
        masks
    }
}
