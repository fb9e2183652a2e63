//! A set of CPUs in the kernel's own layout.

/// A set of CPUs: bit `n` of the little-endian bit string is CPU `n`, as `sched_setaffinity` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuMask(Vec<u64>);

impl CpuMask {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a CPU.
    pub fn insert(&mut self, cpu: usize) {
        let word = cpu / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (cpu % 64);
    }

    /// Whether a CPU is in the set.
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.get(cpu / 64).is_some_and(|word| word >> (cpu % 64) & 1 == 1)
    }

    /// The CPUs in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    /// Whether no CPU is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// From the bytes that a program passes to the kernel.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(whole)
        };
        Self(bytes.chunks(8).map(word).collect())
    }

    /// The set as words, lowest CPUs first.
    pub fn words(&self) -> &[u64] {
        &self.0
    }
}

impl FromIterator<usize> for CpuMask {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        let mut mask = Self::new();
        for cpu in cpus {
            mask.insert(cpu);
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::CpuMask;

    #[test]
    fn bytes_of_any_length() {
        let mask = CpuMask::from_bytes(&[0b101, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(mask, [0, 2, 64].into_iter().collect());
        assert!(mask.contains(64) && !mask.contains(1) && !mask.contains(1000));
        assert!(mask.intersection(&[1, 65].into_iter().collect()).is_empty());
        assert!(CpuMask::from_bytes(&[0; 128]).is_empty());
    }
}
