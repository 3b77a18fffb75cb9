//! Reading a request's body, bounded in bytes and in time.

use crate::settings::{DISCARD_TIME, DISCARDED_BYTES};
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;

/// How far a body may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes.
    pub bytes: usize,
    /// From the first to the last byte.
    pub time: Duration,
}

/// Why a body was not read.
#[derive(Debug)]
pub enum BodyError {
    /// It has, or says that it has, more bytes than allowed.
    TooLarge,
    /// It did not end in time.
    TimedOut,
    /// The client broke off, or framed it wrongly.
    Broken(axum::Error),
}

/// The whole body. Of one that is too large nothing is kept.
pub async fn read(mut body: Body, bounds: Bounds) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = body.size_hint().lower();
    let outcome = match announced > bounds.bytes as u64 {
        true => Err(BodyError::TooLarge),
        false => {
            let collected = tokio::time::timeout(bounds.time, collect(&mut body, bounds.bytes)).await;
            collected.unwrap_or(Err(BodyError::TimedOut))
        }
    };
    if let Err(BodyError::TooLarge) = outcome {
        discard(body, bounds.time).await;
    }
    outcome
}

/// Reads on for a while without keeping anything: a client that is still sending when its socket is closed would see a
/// broken connection instead of the answer that says why.
async fn discard(mut body: Body, time: Duration) {
    let sent = async {
        let mut bytes = 0;
        while bytes < DISCARDED_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whether it ended or not, the answer is the same.
    let _ = tokio::time::timeout(time.min(DISCARD_TIME), sent).await;
}

/// A body that came in one piece, as most do, is not copied.
async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    const BOUNDS: Bounds = Bounds { bytes: 6, time: Duration::from_millis(50) };

    fn pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(pieces.iter().map(|piece| Ok::<_, Infallible>(*piece))))
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_bound() {
        assert_eq!(&read(pieces(&[]), BOUNDS).await.expect("empty")[..], b"");
        assert_eq!(&read(pieces(&["abc"]), BOUNDS).await.expect("one piece")[..], b"abc");
        assert_eq!(&read(pieces(&["ab", "", "cd", "ef"]), BOUNDS).await.expect("at the bound")[..], b"abcdef");
        assert!(matches!(read(pieces(&["abcd", "efg"]), BOUNDS).await, Err(BodyError::TooLarge)));
        assert!(matches!(read(Body::from("abcdefg"), BOUNDS).await, Err(BodyError::TooLarge)));
    }

    #[tokio::test]
    async fn a_body_that_stops_half_way_times_out() {
        let half = stream::iter([Ok::<_, Infallible>("a")]);
        let body = Body::from_stream(futures_util::StreamExt::chain(half, stream::pending()));
        assert!(matches!(read(body, BOUNDS).await, Err(BodyError::TimedOut)));
    }
}
