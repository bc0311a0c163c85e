//! Bending seeds, the same way for the same number.

/// Chance that can be had again.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of a number.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Any number.
    pub(crate) const fn any(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below another, which isn't zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.any() % end as u64).expect("below a usize")
    }

    /// Once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of some.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A word that parsers trip over, as a text.
    pub(crate) fn word(&mut self) -> String {
        String::from_utf8_lossy(WORDS[self.below(WORDS.len())]).into_owned()
    }

    fn byte(&mut self) -> u8 {
        self.any().to_be_bytes()[0]
    }
}

/// No input is longer: what is longer is refused by its length, which shorter ones show too.
const LONGEST: usize = 4096;

/// Words that parsers trip over, whatever they parse.
const WORDS: [&[u8]; 56] = [
    b"\0",
    b"\r\n",
    b"\n",
    b"\t",
    b" ",
    b"\x7f",
    b"\x1b[2J",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"@",
    b".",
    b"..",
    b"-",
    b"--",
    b"_",
    b":",
    b"::",
    b"//",
    b"://",
    b"/",
    b"?",
    b"#",
    b"%",
    b"%00",
    b"+",
    b"=",
    b"==",
    b"\"",
    b"'",
    b"\\",
    b"$(id)",
    b"{{",
    b"{% raw %}",
    b"<script>",
    b"&amp;",
    b"=?utf-8?q?x?=",
    b"-1",
    b"0",
    b"18446744073709551615",
    b"9223372036854775808",
    b"1e999",
    b"true",
    b"null",
    "\u{202e}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{3164}".as_bytes(),
    "\u{130}".as_bytes(),
    "\u{fb03}".as_bytes(),
    "\u{fdfa}".as_bytes(),
    "o\u{308}".as_bytes(),
    "ß".as_bytes(),
    "\u{ff41}".as_bytes(),
    "\u{3002}".as_bytes(),
];

/// Bends seeds.
pub(crate) struct Mutator {
    dice: Dice,
    seeds: Vec<Vec<u8>>,
    /// How many were there at first; inputs that were taken come and go behind them.
    given: usize,
    words: Vec<Vec<u8>>,
}

/// Inputs that were taken, kept to be bent again.
const KEPT: usize = 256;

impl Mutator {
    /// With the words that the seeds are made of besides those that parsers trip over.
    pub(crate) fn new(seed: u64, seeds: Vec<Vec<u8>>) -> Self {
        let parts = seeds.iter().flat_map(|seed| seed.split(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80));
        let mut words: Vec<Vec<u8>> = parts.filter(|part| (1..64).contains(&part.len())).map(<[u8]>::to_vec).collect();
        words.sort();
        words.dedup();
        words.extend(WORDS.map(<[u8]>::to_vec));
        Self { dice: Dice::new(seed), given: seeds.len(), seeds, words }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let at = self.dice.below(self.seeds.len());
        let mut bytes = self.seeds[at].clone();
        for _ in 0..=self.dice.below(5) {
            self.bend(&mut bytes);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    /// Takes an input that was taken to be bent again: what is nearly right gets further than what isn't.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        if self.seeds.len() < self.given + KEPT {
            self.seeds.push(bytes.to_vec());
        } else {
            let at = self.given + self.dice.below(KEPT);
            bytes.clone_into(&mut self.seeds[at]);
        }
    }

    /// Bends bytes once.
    pub(crate) fn bend(&mut self, bytes: &mut Vec<u8>) {
        let at = self.dice.below(bytes.len() + 1);
        let end = at + self.dice.below((bytes.len() - at).min(32) + 1);
        match self.dice.below(10) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.dice.below(8),
            1 if at < bytes.len() => bytes[at] = self.dice.byte(),
            2 => bytes.insert(at, self.dice.byte()),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let times = *self.dice.pick(&[1, 1, 2, 8, 64, 300]);
                let part = bytes[at..end].repeat(times);
                bytes.splice(at..at, part);
            }
            5 | 6 => {
                let word = self.dice.below(self.words.len());
                bytes.splice(at..at, self.words[word].iter().copied());
            }
            7 => {
                let word = self.dice.below(self.words.len());
                bytes.splice(at..end, self.words[word].iter().copied());
            }
            8 => {
                let other = self.dice.below(self.seeds.len());
                let from = self.dice.below(self.seeds[other].len() + 1);
                bytes.splice(at.., self.seeds[other][from..].iter().copied());
            }
            _ => {
                let part = bytes[at..end].to_vec();
                let to = self.dice.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
        }
    }
}
