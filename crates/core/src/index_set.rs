//! Sets of small numbers, such as CPUs and memory nodes, in the list format of Linux 6.x.

use core::fmt;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::errno::Errno;

/// A set of small numbers, such as CPUs or memory nodes. Numbers below 64 take no memory on the heap.
///
/// The set prints in the list format: ascending, in the longest ranges, `0-3,7`. The empty set prints as nothing.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct IndexSet {
    low: u64,
    // Never ends in a zero word, so that equal sets compare equal.
    high: Box<[u64]>,
}

impl IndexSet {
    /// The empty set.
    pub fn new() -> IndexSet {
        IndexSet::default()
    }

    /// The set of the one number `number`.
    pub fn single(number: usize) -> IndexSet {
        let mut set = IndexSet::default();
        set.insert(number);
        set
    }

    /// The numbers `0..count`.
    pub fn first(count: usize) -> IndexSet {
        (0..count).collect()
    }

    fn word(&self, index: usize) -> u64 {
        if index == 0 { self.low } else { self.high.get(index - 1).copied().unwrap_or(0) }
    }

    fn words(&self) -> usize {
        1 + self.high.len()
    }

    /// Adds a number.
    pub fn insert(&mut self, number: usize) {
        let (word, bit) = (number / 64, 1_u64 << (number % 64));
        if word == 0 {
            self.low |= bit;
            return;
        }
        if word > self.high.len() {
            let mut grown = vec![0; word];
            grown[..self.high.len()].copy_from_slice(&self.high);
            self.high = grown.into_boxed_slice();
        }
        self.high[word - 1] |= bit;
    }

    /// True if the number is in the set.
    pub fn contains(&self, number: usize) -> bool {
        self.word(number / 64) & (1 << (number % 64)) != 0
    }

    /// True if the set has no number.
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.high.is_empty()
    }

    /// The count of the numbers in the set.
    pub fn len(&self) -> usize {
        (0..self.words()).map(|index| self.word(index).count_ones() as usize).sum()
    }

    /// The highest number in the set; `None` for the empty set.
    pub fn last(&self) -> Option<usize> {
        (0..self.words())
            .rev()
            .find(|&index| self.word(index) != 0)
            .map(|index| index * 64 + 63 - self.word(index).leading_zeros() as usize)
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.words() * 64).filter(|&number| self.contains(number))
    }

    /// True if every number of this set is in `other`.
    pub fn is_subset(&self, other: &IndexSet) -> bool {
        (0..self.words()).all(|index| self.word(index) & !other.word(index) == 0)
    }

    /// True if the two sets share a number.
    pub fn intersects(&self, other: &IndexSet) -> bool {
        (0..self.words()).any(|index| self.word(index) & other.word(index) != 0)
    }

    /// Returns the set that a bit string stands for: bit `b` of `words[w]` is the number `64 * w + b`.
    ///
    /// Bit 0 is the lowest bit of a word. No words, or words of 0, give the empty set.
    pub fn from_words(words: &[u64]) -> IndexSet {
        let (low, high) = words.split_first().map_or((0, &[][..]), |(low, high)| (*low, high));
        let used = high.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        IndexSet { low, high: high[..used].into() }
    }

    /// Returns the set as the bit string that [`IndexSet::from_words`] takes.
    ///
    /// The last word is not 0, except that the empty set is one word of 0.
    pub fn to_words(&self) -> Vec<u64> {
        (0..self.words()).map(|index| self.word(index)).collect()
    }

    /// The numbers in both sets.
    #[must_use]
    pub fn intersection(&self, other: &IndexSet) -> IndexSet {
        self.zip(other, |a, b| a & b)
    }

    /// The numbers in either set.
    #[must_use]
    pub fn union(&self, other: &IndexSet) -> IndexSet {
        self.zip(other, |a, b| a | b)
    }

    fn zip(&self, other: &IndexSet, combine: impl Fn(u64, u64) -> u64) -> IndexSet {
        let words = self.words().max(other.words());
        let mut high: Vec<u64> =
            (1..words).map(|index| combine(self.word(index), other.word(index))).collect();
        while high.last() == Some(&0) {
            high.pop();
        }
        IndexSet { low: combine(self.low, other.low), high: high.into_boxed_slice() }
    }

    /// Parses a list of numbers below `limit`, as `bitmap_parselist` of Linux 6.x does.
    ///
    /// Examples are `0-3,7`, `all` and `N` for the last number below `limit`. `0-15:2/4` has the first two numbers of
    /// every four. Commas and white space separate the regions of a list, and empty regions are skipped. A newline ends
    /// the list.
    ///
    /// # Errors
    /// * `EINVAL`: the text is no such list, or a range is backwards, such as `3-1`.
    /// * `ERANGE`: a number is not below `limit`.
    /// * `EOVERFLOW`: a number does not fit 32 bits.
    pub fn parse_list(text: &str, limit: usize) -> Result<IndexSet, Errno> {
        let text = text.split('\n').next().unwrap_or("");
        let mut set = IndexSet::default();
        for region in text.split(|c: char| c == ',' || c.is_ascii_whitespace() || c == '\u{b}') {
            if !region.is_empty() {
                insert_region(&mut set, region, limit)?;
            }
        }
        Ok(set)
    }
}

fn insert_region(set: &mut IndexSet, region: &str, limit: usize) -> Result<(), Errno> {
    let last = limit.saturating_sub(1);
    let (start, end, rest) = if region.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("all")) {
        (0, last, &region[3..])
    } else {
        let (start, rest) = number(region, last)?;
        match rest.strip_prefix('-') {
            Some(rest) => {
                let (end, rest) = number(rest, last)?;
                (start, end, rest)
            }
            None if rest.is_empty() => (start, start, rest),
            None => return Err(Errno::EINVAL),
        }
    };
    let (used, group) = match rest.strip_prefix(':') {
        // Linux counts in 32 bits: after the number 4294967295 the group wraps to the illegal length 0.
        None if rest.is_empty() => {
            let whole = (end as u32).wrapping_add(1) as usize;
            (whole, whole)
        }
        None => return Err(Errno::EINVAL),
        Some(pattern) => {
            let (used, rest) = number(pattern, last)?;
            let (group, rest) = number(rest.strip_prefix('/').ok_or(Errno::EINVAL)?, last)?;
            if !rest.is_empty() {
                return Err(Errno::EINVAL);
            }
            (used, group)
        }
    };
    if start > end || group == 0 || used > group {
        return Err(Errno::EINVAL);
    }
    if end >= limit {
        return Err(Errno::ERANGE);
    }
    for at in (start..=end).step_by(group) {
        (at..(at + used).min(end + 1)).for_each(|number| set.insert(number));
    }
    Ok(())
}

fn number(text: &str, last: usize) -> Result<(usize, &str), Errno> {
    if let Some(rest) = text.strip_prefix('N') {
        return Ok((last, rest));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(Errno::EINVAL);
    }
    let value: u32 = text[..digits].parse().map_err(|_| Errno::EOVERFLOW)?;
    Ok((value as usize, &text[digits..]))
}

impl FromIterator<usize> for IndexSet {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> IndexSet {
        let mut set = IndexSet::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set
    }
}

/// Prints the list format: ascending, in the longest ranges, `0-3,7`; nothing for the empty set.
impl fmt::Display for IndexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.iter().peekable();
        let mut separator = "";
        while let Some(start) = numbers.next() {
            let mut end = start;
            while numbers.peek() == Some(&(end + 1)) {
                end += 1;
                numbers.next();
            }
            if start == end {
                write!(f, "{separator}{start}")?;
            } else {
                write!(f, "{separator}{start}-{end}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for IndexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::IndexSet;

    #[test]
    fn words_of_any_length_make_equal_sets() {
        let set = IndexSet::from_words(&[0b101, 1, 0, 0]);
        assert_eq!(set, [0, 2, 64].into_iter().collect());
        assert_eq!(set.to_words(), [0b101, 1]);
        assert!(set.contains(64) && !set.contains(1) && !set.contains(1000));
        assert!(IndexSet::from_words(&[0; 16]).is_empty() && IndexSet::from_words(&[]).is_empty());
        assert_eq!(IndexSet::from_words(&[0; 16]), IndexSet::new());
        assert!(set.intersection(&[1, 65].into_iter().collect()).is_empty());
    }
}
