//! `LIKE`: a pattern with `*` for anything, without case, in time linear in the text.

/// A pattern, cut at its wildcards: the parts must appear one after another, the first at the beginning and the last at
/// the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Like {
    first: String,
    /// What follows each wildcard; the last one belongs to the end. Empty if there is no wildcard at all.
    rest: Vec<String>,
}

impl Like {
    /// Reads a pattern; `\*` is a star, `\\` a backslash.
    pub fn new(pattern: &str) -> Like {
        let mut parts = vec![String::new()];
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let part = parts.last_mut().expect("there is always a last part");
            match c {
                '*' => parts.push(String::new()),
                '\\' => part.extend(chars.next().unwrap_or('\\').to_lowercase()),
                c => part.extend(c.to_lowercase()),
            }
        }
        let first = parts.remove(0);
        Like { first, rest: parts }
    }

    /// Whether a text fits.
    pub fn matches(&self, text: &str) -> bool {
        let text: String = text.chars().flat_map(char::to_lowercase).collect();
        let Some((last, middle)) = self.rest.split_last() else {
            return text == self.first;
        };
        let Some(mut rest) = text.strip_prefix(&self.first) else {
            return false;
        };
        for part in middle {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A plain reading of the rule, by trying everything.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| plainly(rest, &text[skip..])),
            Some((c, rest)) => text.first() == Some(c) && plainly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_the_rule_says(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Like::new(&pattern).matches(&text), plainly(&chars(&pattern), &chars(&text)));
        }
    }

    #[test]
    fn stars_and_backslashes_can_be_meant() {
        assert!(Like::new("a\\*b").matches("A*B"));
        assert!(!Like::new("a\\*b").matches("axb"));
        assert!(Like::new("a\\\\*").matches("a\\xyz"));
        assert!(Like::new("ÄÖ*").matches("äöü"));
    }
}
