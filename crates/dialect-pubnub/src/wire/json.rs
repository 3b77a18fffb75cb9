//! Writing JSON straight into a buffer: payloads pass through untouched, numbers and tokens in the vendor's spelling.

use serde_json::value::RawValue;

/// Writes a string, escaped and quoted.
pub fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing a string into memory cannot fail");
}

/// Writes a bare integer.
pub fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes a timetoken as a string: what everything but v2 history wants (§2.3).
pub fn token(out: &mut Vec<u8>, timetoken: u64) {
    out.push(b'"');
    number(out, timetoken);
    out.push(b'"');
}

/// Writes `items` with commas between them.
pub fn joined<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

/// Exactly one JSON value, without the white space around it; `None` if it is not valid.
pub fn value(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let value: &RawValue = serde_json::from_str(text).ok()?;
    Some(value.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_exactly_one() {
        assert_eq!(value(b" {\"a\": 1}\n"), Some("{\"a\": 1}"));
        for good in ["null", "1e3", "\"x\"", "[]", "true", "-0.5"] {
            assert_eq!(value(good.as_bytes()), Some(good));
        }
        for bad in ["", "{", "1 2", "{a:1}", "nul", "\"a\nb\"", "[1,]", "01", "NaN", "'x'"] {
            assert_eq!(value(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(value(b"\"\xff\""), None);
    }

    #[test]
    fn deep_nesting_does_not_overflow() {
        let deep = "[".repeat(1 << 20);
        assert_eq!(value(deep.as_bytes()), None);
    }
}
