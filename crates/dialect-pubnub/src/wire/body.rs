//! Request bodies (`protocols/pubnub.md` §1.2): what they are is told by their first bytes, not by a header, because one
//! client labels gzip data `deflate`.

use crate::error::Refusal;
use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use std::io::Read;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZLIB: u8 = 0x78;

/// The body as its sender wrote it, of at most `most` bytes. No JSON text begins like compressed data.
pub fn inflate(body: Bytes, most: usize) -> Result<Bytes, Refusal> {
    let inflated = if body.starts_with(&GZIP) {
        read(GzDecoder::new(&*body), most)?
    } else if body.first() == Some(&ZLIB) {
        read(ZlibDecoder::new(&*body), most)?
    } else {
        body
    };
    if inflated.len() > most { Err(Refusal::BodyTooLarge) } else { Ok(inflated) }
}

/// Reads one byte more than allowed at most, so that a bomb costs no more than an honest body.
fn read(from: impl Read, most: usize) -> Result<Bytes, Refusal> {
    let mut inflated = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    from.take(most.saturating_add(1)).read_to_end(&mut inflated).map_err(|_| Refusal::Argument("compressed body"))?;
    Ok(inflated.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write};
    use proptest::prelude::*;
    use std::io::Write;

    fn zlib(data: &[u8]) -> Bytes {
        let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().into()
    }

    fn gzip(data: &[u8]) -> Bytes {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn bodies_are_known_by_their_first_bytes() {
        let text = br#"{"a":"b"}"#;
        for body in [zlib(text), gzip(text), Bytes::from_static(text)] {
            assert_eq!(inflate(body, 100).unwrap(), text.as_slice());
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let bomb = zlib(&vec![b' '; 8 << 20]);
        assert!(bomb.len() < 10_000);
        assert!(matches!(inflate(bomb, 32 << 10), Err(Refusal::BodyTooLarge)));
        assert!(matches!(inflate(Bytes::from_static(b"123456"), 5), Err(Refusal::BodyTooLarge)));
        assert!(inflate(zlib(b"12345"), 5).is_ok());
    }

    #[test]
    fn a_torn_body_is_refused() {
        let whole = gzip(b"hello, hello, hello");
        assert!(inflate(whole.slice(..whole.len() - 9), 100).is_err());
    }

    proptest! {
        #[test]
        fn no_body_panics(mut body: Vec<u8>, head in 0usize..3) {
            let head: &[u8] = [&[][..], &GZIP[..], &[ZLIB, 0x9c][..]][head];
            body.splice(0..0, head.iter().copied());
            let _ = inflate(body.into(), 1000);
        }
    }
}
