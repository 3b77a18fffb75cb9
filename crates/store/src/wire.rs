//! Reading and writing of the small parts that all formats are made of. Reading is bounded and never panics: no
//! length is believed before it was checked.

use model::{Seq, SeqRange, limits};
use std::{error, fmt, ops::Range};

/// Bytes that are not what they should be. The text names the part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub &'static str);

pub(crate) type Parsed<T> = Result<T, Malformed>;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}", self.0)
    }
}

impl error::Error for Malformed {}

impl From<Malformed> for model::Error {
    fn from(malformed: Malformed) -> model::Error {
        model::Error::internal(malformed)
    }
}

/// A place in some bytes, from which parts are taken one after another.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Starts in the middle.
    pub fn at(bytes: &'a [u8], at: usize) -> Parsed<Reader<'a>> {
        if at > bytes.len() {
            return Err(Malformed("offset"));
        }
        Ok(Reader { bytes, at })
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> Range<usize> {
        let range = self.at..self.bytes.len();
        self.at = self.bytes.len();
        range
    }

    pub fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let taken = left.get(..count).ok_or(Malformed("length"))?;
        self.at += count;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Parsed<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u64(&mut self) -> Parsed<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn u128(&mut self) -> Parsed<u128> {
        self.array().map(u128::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed("length"))
    }

    /// LEB128, at most ten bytes, nothing above 64 bits.
    pub fn varint(&mut self) -> Parsed<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("varint"))
    }

    /// The seq that [`put_seq`] wrote.
    pub fn seq(&mut self) -> Parsed<Seq> {
        self.step(0).map(Seq)
    }

    /// The number that [`put_step`] wrote, in the bounds of seqs.
    pub fn step(&mut self, from: i64) -> Parsed<i64> {
        let number = from.wrapping_add(self.varint()?.cast_signed());
        if (-limits::SEQ..=limits::SEQ).contains(&number) { Ok(number) } else { Err(Malformed("seq")) }
    }

    /// The ranges that [`put_runs`] wrote, at most `max`: they grow, and may touch.
    pub fn runs(&mut self, max: usize, what: &'static str) -> Parsed<Vec<SeqRange>> {
        let count = self.count(max, what)?;
        let mut runs: Vec<SeqRange> = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let before = runs.last().map(|run| run.last.next());
            let first = Seq(self.step(before.unwrap_or(Seq::START).0)?);
            let length = self.varint()?.cast_signed();
            let end = first.0.checked_add(length).filter(|end| length > 0 && *end <= limits::SEQ);
            if before.is_some_and(|before| first < before) {
                return Err(Malformed(what));
            }
            runs.push(SeqRange { first, last: Seq(end.ok_or(Malformed(what))?).previous() });
        }
        Ok(runs)
    }

    /// A length or a number of things, at most `max`.
    pub fn count(&mut self, max: usize, what: &'static str) -> Parsed<usize> {
        usize::try_from(self.varint()?).ok().filter(|count| *count <= max).ok_or(Malformed(what))
    }

    /// Bytes with their length before them, at most `max`.
    pub fn prefixed(&mut self, max: usize) -> Parsed<&'a [u8]> {
        let count = self.count(max, "length")?;
        self.take(count)
    }

    /// The place of bytes with their length before them.
    pub fn prefixed_range(&mut self, max: usize) -> Parsed<Range<usize>> {
        let count = self.count(max, "length")?;
        let start = self.at;
        self.take(count)?;
        Ok(start..start + count)
    }

    pub fn text(&mut self, max: usize) -> Parsed<&'a str> {
        std::str::from_utf8(self.prefixed(max)?).map_err(|_| Malformed("text"))
    }

    pub fn end(&self) -> Parsed<()> {
        if self.is_empty() { Ok(()) } else { Err(Malformed("end: bytes are left over")) }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// As the varint of its two's complement: most seqs are above [`Seq::START`].
pub(crate) fn put_seq(out: &mut Vec<u8>, seq: Seq) {
    put_step(out, 0, seq.0);
}

/// A number as its distance from the one that it follows.
pub(crate) fn put_step(out: &mut Vec<u8>, from: i64, number: i64) {
    put_varint(out, number.wrapping_sub(from).cast_unsigned());
}

/// How many ranges, and of each: the distance from the seq after the one before ([`Seq::START`] at first), and its length.
pub(crate) fn put_runs(out: &mut Vec<u8>, runs: &[SeqRange]) {
    put_varint(out, runs.len() as u64);
    let mut next = Seq::START;
    for run in runs {
        put_step(out, next.0, run.first.0);
        put_varint(out, run.count());
        next = run.last.next();
    }
}

pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn seqs_come_back(seq in -limits::SEQ..=limits::SEQ) {
            let mut out = Vec::new();
            put_seq(&mut out, Seq(seq));
            prop_assert_eq!(Reader::new(&out).seq(), Ok(Seq(seq)));
        }

        #[test]
        fn runs_come_back(first in -300i64..300, steps in prop::collection::vec((0i64..9, 1i64..9), 0..20)) {
            let mut runs: Vec<SeqRange> = Vec::new();
            for (gap, length) in steps {
                let first = runs.last().map_or(first, |run| run.last.0 + 1) + gap;
                runs.push(SeqRange { first: Seq(first), last: Seq(first + length - 1) });
            }
            let mut out = Vec::new();
            put_runs(&mut out, &runs);
            prop_assert_eq!(Reader::new(&out).runs(20, "runs"), Ok(runs));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_ok() {}
            let mut reader = Reader::new(&bytes);
            while reader.prefixed(16).is_ok() && !reader.is_empty() {}
        }
    }
}
