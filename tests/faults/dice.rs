//! Moments and choices.

/// Random enough for both.
pub(crate) struct Dice(u64);

impl Dice {
    /// `SEED` throws the same again, as far as the machine's own timing lets it matter.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| getrandom::u64().expect("random bits") >> 1);
        println!("{test}: seed {seed}");
        Self(seed | 1)
    }

    /// Others, which these decide.
    pub(crate) fn fork(&mut self) -> Self {
        self.throw(2);
        Self(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }

    /// Once in so many throws.
    pub(crate) fn once_in(&mut self, sides: u64) -> bool {
        self.throw(sides) == 0
    }

    pub(crate) fn pick<T>(&mut self, from: impl IntoIterator<Item = T>) -> Option<T> {
        let mut from: Vec<T> = from.into_iter().collect();
        if from.is_empty() {
            return None;
        }
        let at = self.throw(from.len() as u64);
        Some(from.swap_remove(usize::try_from(at).expect("an index")))
    }
}
