//! Two small things about JSON that the rest of the dialect needs.

use serde::Serialize;

/// The JSON text of a value that cannot fail to have one: strings, numbers, lists and structs of them.
pub fn text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists always have a JSON text")
}

/// How deep the arrays and objects of a valid JSON text are nested; 0 for a plain value.
pub fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert_eq!(depth("7"), 0);
        assert_eq!(depth("[]"), 1);
        assert_eq!(depth("[{\"a\":[1]},[]]"), 3);
        assert_eq!(depth("\"[[[\\\"[\""), 0);
        assert_eq!(depth("{\"\\\\\":[\"]\"]}"), 2);
    }
}
