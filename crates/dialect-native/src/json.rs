//! JSON as text: kept as it came, looked at only as far as its bounds need.

use crate::settings::JSON_DEPTH;

/// Whether no bracket lies deeper than [`JSON_DEPTH`] in this text, which is valid JSON.
pub(crate) fn is_shallow(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            return false;
        }
    }
    true
}

/// Adds a text as a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(&mut *out, text).expect("a text is always JSON, and memory takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_shallow(&nested(JSON_DEPTH)));
        assert!(!is_shallow(&nested(JSON_DEPTH + 1)));
        assert!(is_shallow(&format!("\"{}\"", "[".repeat(1_000))));
        assert!(is_shallow(&format!("\"\\\"{}\"", "[".repeat(1_000))), "an escaped quote does not end a string");
        assert!(is_shallow(&format!("[{}]", "[],".repeat(1_000) + "1")));
    }
}
