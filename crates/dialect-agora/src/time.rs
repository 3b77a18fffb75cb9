//! Times as callers of the history write them (`protocols/agora-rtm.md` §3.1): ISO 8601 in UTC, whole seconds or with 3
//! or 6 fraction digits, with a `Z` at the end or without one. Numeric offsets are refused.

use jiff::civil::DateTime;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Unix milliseconds of a time; what lies before 1970 is 1970. Fractions below a millisecond are cut off: that is how
/// exactly messages tell their times.
pub fn unix_ms(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (seconds, fraction) = match text.split_once('.') {
        Some((seconds, fraction)) => (seconds, Some(fraction)),
        None => (text, None),
    };
    let ms = fraction.map_or(Some(0), milliseconds)?;
    let since = moment(seconds)?.duration_since(EPOCH).as_millis() + i128::from(ms);
    Some(u64::try_from(since.max(0)).unwrap_or(u64::MAX))
}

/// The first three of 3 or 6 digits.
fn milliseconds(fraction: &str) -> Option<u16> {
    let fits = matches!(fraction.len(), 3 | 6) && fraction.bytes().all(|b| b.is_ascii_digit());
    if fits { fraction[..3].parse().ok() } else { None }
}

/// `yyyy-MM-ddTHH:mm:ss`, each field with all its digits.
fn moment(text: &str) -> Option<DateTime> {
    const SHAPE: &[u8; 19] = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape };
    if text.len() != SHAPE.len() || !text.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    let field = |from: usize| text[from..from + 2].parse::<i8>().ok();
    let year = text[..4].parse().ok()?;
    DateTime::new(year, field(5)?, field(8)?, field(11)?, field(14)?, field(17)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_callers_send_is_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2019-08-01T01:22:10Z", 1_564_622_530_000),
            ("2019-08-01T01:22:10", 1_564_622_530_000),
            ("2019-08-01T01:22:10.123Z", 1_564_622_530_123),
            ("2019-08-01T01:22:10.123999Z", 1_564_622_530_123),
            ("2019-08-01T01:22:10.007", 1_564_622_530_007),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000),
            ("0001-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(unix_ms(text), Some(ms), "{text}");
        }
        assert!(unix_ms("9999-12-31T23:59:59Z").is_some());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "Z",
            "2019-08-01",
            "2019-08-01T01:22Z",
            "2019-08-01 01:22:10Z",
            "2019-08-01T01:22:10+08:00",
            "2019-08-01T01:22:10+00:00",
            "2019-08-01T01:22:10z",
            "2019-08-01T01:22:10ZZ",
            "2019-08-01T01:22:10.Z",
            "2019-08-01T01:22:10.1Z",
            "2019-08-01T01:22:10.12345678Z",
            "2019-08-01T01:22:10.12aZ",
            "2019-08-01T01:22:10,123Z",
            "2019-02-29T01:22:10Z",
            "2019-13-01T01:22:10Z",
            "2019-08-01T24:00:00Z",
            "2019-08-01T01:22:60Z",
            "20190801T012210Z",
            "1564622530",
            "２０19-08-01T01:22:10Z",
            "+2019-08-01T01:22:1Z",
            " 2019-08-01T01:22:10Z",
        ] {
            assert_eq!(unix_ms(text), None, "{text:?}");
        }
    }
}
