//! What only this dialect has of a message, inside the extras that all dialects share: a JSON object whose key `osmium`
//! holds a [`Stored`] in base64. Other dialects pass it over, as this one passes over their keys.

use crate::wire::Stored;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Extras {
    osmium: String,
}

/// As extras; none if there is nothing to keep.
pub fn pack(stored: &Stored) -> Option<Bytes> {
    if *stored == Stored::default() {
        return None;
    }
    let extras = Extras { osmium: STANDARD_NO_PAD.encode(stored.encode_to_vec()) };
    Some(serde_json::to_vec(&extras).expect("a text is always JSON").into())
}

/// What is in extras; nothing in those of other dialects.
pub fn unpack(extras: Option<&Bytes>) -> Stored {
    let Some(extras) = extras else { return Stored::default() };
    let packed = serde_json::from_slice::<Extras>(extras).ok().map(|extras| extras.osmium);
    let bytes = packed.and_then(|packed| STANDARD_NO_PAD.decode(packed).ok()).unwrap_or_default();
    Stored::decode(&bytes[..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back_and_foreign_extras_are_passed_over() {
        let stored = Stored { client_id: Some(7), ..Default::default() };
        assert_eq!(unpack(pack(&stored).as_ref()), stored);
        assert_eq!(pack(&Stored::default()), None);
        for foreign in [&b"{\"meta\":{\"k\":1}}"[..], b"{\"osmium\":3}", b"{\"osmium\":\"!\"}", b"\xff", b""] {
            assert_eq!(unpack(Some(&Bytes::copy_from_slice(foreign))), Stored::default());
        }
    }
}
