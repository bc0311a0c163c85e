//! DER: the one encoding that what was signed has.
//!
//! Libraries forgive much of what BER allows beyond it: tags and lengths of many spellings, texts in pieces, ends that are marked. What is read in two
//! ways is two names, so names are read from what leaves no choice.

/// How deep elements stand in each other at most; certificates go to about ten.
const DEEPEST: usize = 32;

/// Whether bytes are one element, and all that stands in it is encoded as DER wants it.
pub(super) fn is_strict(bytes: &[u8]) -> bool {
    elements(bytes).is_some_and(|elements| matches!(elements[..], [element] if element.is_strict(DEEPEST)))
}

/// The elements that stand one behind the other, with nothing between and behind them.
pub(super) fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let (element, rest) = Element::first(bytes)?;
        elements.push(element);
        bytes = rest;
    }
    Some(elements)
}

/// A tag and what stands behind it.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) contents: &'a [u8],
}

impl<'a> Element<'a> {
    /// Other elements stand in it.
    const CONSTRUCTED: u8 = 0x20;

    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, rest) = bytes.split_first()?;
        // tags above 30 take more bytes; no certificate has one
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = length(rest)?;
        let (contents, rest) = rest.split_at_checked(length)?;
        Some((Self { tag: *tag, contents }, rest))
    }

    fn is_strict(self, deepest: usize) -> bool {
        let constructed = self.tag & Self::CONSTRUCTED != 0;
        // of the universal ones, sequences and sets have elements in them, and nothing else has
        let right = self.tag & 0xc0 != 0 || matches!(self.tag & 0x1f, 0x10 | 0x11) == constructed;
        let inner = || elements(self.contents).is_some_and(|inner| inner.iter().all(|each| each.is_strict(deepest - 1)));
        right && (!constructed || (deepest > 0 && inner()))
    }
}

/// A length in its shortest form. An end that is marked instead is none.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if digits.len() > 4 || digits.first().is_none_or(|digit| *digit == 0) {
        return None;
    }
    let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    (length >= 0x80).then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_der_allows_is_taken() {
        for bytes in [&[0x30, 0][..], &[0x30, 3, 0x16, 1, b'a'], &[0xa0, 3, 0x02, 1, 5], &[0x04, 2, 0x30, 0x80], &[0x82, 1, b'a']]
        {
            assert!(is_strict(bytes), "{bytes:x?}");
        }
        let long = [&[0x30, 0x81, 0x83, 0x04, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert!(is_strict(&long));
    }

    #[test]
    fn what_only_ber_allows_is_not() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0, 0],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x81, 3, 0x16, 1, b'a'],
            &[0x30, 0x82, 0, 3, 0x16, 1, b'a'],
            &[0x36, 3, 0x16, 1, b'a'],
            &[0x10, 0],
            &[0x1f, 0x21, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 2, 0x16, 1],
            &[0x30, 0xff],
        ] {
            assert!(!is_strict(bytes), "{bytes:x?}");
        }
        let nested = (0..100_u8).fold(vec![0x30, 0], |inner, _| {
            let length = u8::try_from(inner.len()).unwrap_or(0x7f);
            [&[0x30, length.min(0x7f)][..], &inner].concat()
        });
        assert!(!is_strict(&nested));
    }
}
