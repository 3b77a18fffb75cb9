//! The vendor's wire in the vendor's spelling (`protocols/pubnub.md` §1 and §2): what a request is made of before it
//! means anything, and how an answer is written. What the parts mean is said in [`crate::route`] and the operations.

mod body;
mod callback;
pub mod json;
mod path;
mod query;
mod reply;

pub use body::inflate;
pub use callback::Callback;
pub use path::{Path, encode_key, names};
pub use query::Query;
pub use reply::{ContentType, Reply};

/// A timetoken: a decimal number of at most 17 digits (§2.3). What lies past the last id that there can be is accepted
/// and means "the end".
pub fn timetoken(text: &str) -> Option<u64> {
    let fits = (1..=TIMETOKEN_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

const TIMETOKEN_DIGITS: usize = 17;

#[cfg(test)]
mod tests {
    use super::timetoken;

    #[test]
    fn timetokens_are_short_decimal_numbers() {
        assert_eq!(timetoken("0"), Some(0));
        assert_eq!(timetoken("17358238908727392"), Some(17358238908727392));
        assert_eq!(timetoken("99999999999999999"), Some(99999999999999999));
        for wrong in ["", "abc", "-1", "+1", "1.0", " 1", "173582389087273920", "18446744073709551616", "١"] {
            assert_eq!(timetoken(wrong), None, "{wrong:?}");
        }
    }
}
