//! Maps and sets of numbers of tasks and css_sets.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use penfold_core::{CssSetId, Tid};

/// A hash for numbers of tasks and css_sets, which are small and dense: one multiplication spreads them well enough.
/// Stops are too frequent for a hash that withstands chosen keys.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i32(i32::from(*byte));
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.write_u64(u64::from(number as u32));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

pub(crate) type TidMap<V> = HashMap<Tid, V, BuildHasherDefault<NumberHasher>>;
pub(crate) type TidSet = HashSet<Tid, BuildHasherDefault<NumberHasher>>;
pub(crate) type CssSetMap<V> = HashMap<CssSetId, V, BuildHasherDefault<NumberHasher>>;
