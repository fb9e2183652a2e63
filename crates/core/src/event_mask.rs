//! Masks of the slots that use each kind of event. They are made anew at load and unload, and read at every event.

use bitflags::bitflags;

use crate::counter::Resource;
use crate::slot::Slot;
use crate::subsystem::Callbacks;

bitflags! {
    /// The kinds of events that loaded subsystems use: the answer of [`Engine::event_mask`](crate::Engine::event_mask).
    ///
    /// While no subsystem uses forks, a fork does no work for callbacks at all: the promise of 2006 (C5.1). Membership
    /// has to be kept in any case, with [`Engine::charge_fork`](crate::Engine::charge_fork),
    /// [`Engine::commit_fork`](crate::Engine::commit_fork) and [`Engine::exit`](crate::Engine::exit).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct EventMask: u32 {
        /// A subsystem counts tasks or forks, or has a callback for forks.
        const FORK = 1;
        /// A subsystem counts tasks or forks, or has an exit callback.
        const EXIT = 1 << 1;
        /// A subsystem may refuse forks one day: it has `can_fork`, or a rule on tasks or forks that can get a limit.
        ///
        /// [`Engine::can_refuse_fork`](crate::Engine::can_refuse_fork) says whether that is so now.
        const MAY_REFUSE_FORK = 1 << 2;
        /// A subsystem counts CPU time.
        const CPU_TIME = 1 << 3;
        /// A subsystem counts sockets.
        const SOCKETS = 1 << 4;
    }
}

/// For each kind of event, the slots that use it, one bit for each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Masks {
    pub(crate) event_mask: EventMask,
    /// The slots with a rule on tasks or forks.
    pub(crate) charges: u64,
    pub(crate) can_fork: u64,
    pub(crate) fork: u64,
    /// The slots with `attach` and without `fork`: a task's first place is reported to them as an attach.
    pub(crate) first_place: u64,
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
            let reported = slot.callbacks.intersection(Callbacks::ATTACH.union(Callbacks::FORK));
            set(&mut masks.first_place, reported == Callbacks::ATTACH);
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
