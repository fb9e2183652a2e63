//! Shares of `ResGroups`: the division of a group's tasks among its children (F3.1 to F3.6). Pure numbers.

use penfold_core::{Errno, Error, Result, control_file::parse_s32};

/// "Leave it as it is", in a write only.
const UNCHANGED: i32 = -1;
/// "This share does not exist here": a share that has this value never changes again.
const UNSUPPORTED: i32 = -2;
/// "Any amount will do."
const DONT_CARE: i32 = -3;
const DEFAULT_DIVISOR: i32 = 100;

/// The shares of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// The guaranteed parts of the parent's divisor, or a symbol.
    pub(super) min: i32,
    /// The upper bound in parts of the parent's divisor, or a symbol.
    pub(super) max: i32,
    /// The number of parts into which this group divides its tasks.
    pub(super) divisor: i32,
    /// The parts of the divisor that are guaranteed to no child.
    pub(super) unused_min: i32,
    /// The largest `max` of a child; 0 without children.
    pub(super) cur_max: i32,
}

impl Default for Shares {
    fn default() -> Shares {
        Shares {
            min: DONT_CARE,
            max: DONT_CARE,
            divisor: DEFAULT_DIVISOR,
            unused_min: DEFAULT_DIVISOR,
            cur_max: 0,
        }
    }
}

/// The content of one write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShareRequest {
    min: i32,
    max: i32,
    divisor: i32,
}

impl ShareRequest {
    /// Parses `res=NAME,min_shares=N,max_shares=N,child_shares_divisor=N`: any of these in any order, with numbers in
    /// base 0. The last value of a key counts. The name may be any, but must not be there twice.
    ///
    /// # Errors
    /// `EINVAL` for anything else.
    pub(super) fn parse(text: &str) -> Result<ShareRequest> {
        let mut request = ShareRequest { min: UNCHANGED, max: UNCHANGED, divisor: UNCHANGED };
        let mut named = false;
        for element in text.split(',').filter(|element| !element.is_empty()) {
            let (key, value) = element.split_once('=').ok_or_else(syntax)?;
            let field = match key {
                "min_shares" => &mut request.min,
                "max_shares" => &mut request.max,
                "child_shares_divisor" => &mut request.divisor,
                "res" if !named && !value.is_empty() => {
                    named = true;
                    continue;
                }
                _ => return Err(syntax()),
            };
            *field = parse_s32(value).map_err(|_| syntax())?;
        }
        Ok(request)
    }
}

fn syntax() -> Error {
    Error::value(
        Errno::EINVAL,
        "takes res=NAME,min_shares=N,max_shares=N,child_shares_divisor=N, or some of them",
    )
}

/// The share as a quantity; `None` for a symbol.
fn quantity(share: i32) -> Option<i64> {
    (share >= 0).then_some(i64::from(share))
}

impl Shares {
    /// The parts of the divisor that are guaranteed to children.
    fn used(&self) -> i64 {
        i64::from(self.divisor) - i64::from(self.unused_min)
    }

    /// The shares after a request, below a parent with the given shares (F3.5).
    ///
    /// # Errors
    /// `EINVAL` if the parent has not enough left, or the values contradict each other.
    pub(super) fn changed(&self, request: &ShareRequest, parent: Option<&Shares>) -> Result<Shares> {
        let choose = |old, new| if new == UNCHANGED || old == UNSUPPORTED { old } else { new };
        let mut new = Shares {
            min: choose(self.min, request.min),
            max: choose(self.max, request.max),
            divisor: choose(self.divisor, request.divisor),
            ..*self
        };
        let refuse = |reason: &'static str| Err(Error::value(Errno::EINVAL, reason));
        if let Some(parent) = parent {
            let increase = quantity(new.min).map(|min| min - quantity(self.min).unwrap_or(0));
            if increase.is_some_and(|increase| increase > i64::from(parent.unused_min)) {
                return refuse("the parent has not so many min_shares left to guarantee");
            }
            if new.max > parent.divisor {
                return refuse("max_shares exceeds the parent's child_shares_divisor");
            }
        }
        let valid = |share| share >= 0 || share == DONT_CARE || share == UNSUPPORTED;
        if !valid(new.min) || !valid(new.max) {
            return refuse("a share is 0 or more, -3 (don't care) or -2 (unsupported)");
        }
        if new.divisor < 0 || self.used() > i64::from(new.divisor) {
            return refuse("child_shares_divisor is less than the children are guaranteed");
        }
        if new.divisor < new.cur_max {
            return refuse("child_shares_divisor is less than the max_shares of a child");
        }
        if let (Some(min), Some(max)) = (quantity(new.min), quantity(new.max))
            && min > max
        {
            return refuse("min_shares exceeds max_shares");
        }
        new.unused_min = (i64::from(new.divisor) - self.used()) as i32;
        Ok(new)
    }

    /// Accounts for a child whose `min` went from `old` to `new`. `children` are the `max` of all present children
    /// (F3.6).
    pub(super) fn child_changed(&mut self, old: i32, new: i32, children: impl Iterator<Item = i32>) {
        self.unused_min += old.max(0) - new.max(0);
        self.cur_max = children.max().unwrap_or(0).max(0);
    }

    /// The `min` of a group without a guarantee: that of a child that is removed.
    pub(super) const NOTHING: i32 = DONT_CARE;
}

/// A share in numbers of tasks: its part of the parent's tasks; `None` (any number) if either is no quantity (F3.7).
pub(super) fn units(share: i32, parent_units: Option<u32>, divisor: i32) -> Option<u32> {
    let (share, parent) = (quantity(share)?, i64::from(parent_units?));
    // A divisor of 0 leaves nothing to share. The rules bound share by divisor, so the result fits.
    Some(u32::try_from((share * parent).checked_div(i64::from(divisor)).unwrap_or(0)).unwrap_or(u32::MAX))
}
