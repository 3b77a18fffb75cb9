//! Durations and sizes as people write them.

use std::{ops::RangeInclusive, time::Duration};

/// `250ms`, `30s`, `12h`, `30d`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a duration like \"30s\", \"12h\", \"30d\": {error}"))
}

/// `4096`, `64KiB`, `4MiB`, `1GiB`; also `kB`, `MB`, `GB` for powers of ten.
pub fn size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ];
    let wrong = || format!("{text:?} is not a size like \"64KiB\", \"4MiB\", \"1GiB\"");
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text.trim()[digits.len()..].trim();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(wrong)?;
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(wrong)
}

/// The value, if it lies in the range; else what the range is, in the words of `show`.
pub fn within<T: PartialOrd + Copy>(value: T, range: &RangeInclusive<T>, show: fn(T) -> String) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("from {} to {} is allowed", show(*range.start()), show(*range.end())))
}

/// A duration as [`duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A size as [`size`] reads it.
pub fn show_size(bytes: usize) -> String {
    const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("0", 0), ("512", 512), ("64KiB", 65_536), ("4 MiB", 4 << 20), ("2GB", 2_000_000_000)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "4 mib", "4XB", "99999999999GiB", "1 0"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(show_size(4 << 20), "4MiB");
        assert_eq!(show_size(1_000), "1000B");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert!(duration("30").is_err());
        assert!(duration("forever").is_err());
    }
}
