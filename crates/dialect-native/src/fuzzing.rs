//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Not part of the crate's
//! interface.

use crate::{
    convert,
    fields::{self, Fields},
    history,
    params::Params,
    rights::scope,
    route::Route,
    wire,
};
use http::Method;

/// A path with its query, under every method: refused, or a page within its bounds.
pub fn request(input: &[u8]) {
    const PAGE_MESSAGES: u32 = 1_000;
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let _ = Route::parse(&method, path);
    }
    if let Ok(asked) = Params::parse(query).and_then(|params| history::parse(params, PAGE_MESSAGES)) {
        assert!((1..=PAGE_MESSAGES).contains(&asked.limit));
    }
    if let Ok((_, span)) = Params::parse(query).and_then(|mut params| history::bounds(&mut params)) {
        assert!(span.after <= span.upto);
    }
}

/// A body: refused, or a draft whose payload is a part of it, byte for byte; an object of fields; a pattern of channels.
pub fn body(input: &[u8]) {
    let Ok(text) = fields::text(input) else { return };
    if let Ok(wire) = serde_json::from_str::<wire::Draft<'_>>(text)
        && let Ok(draft) = convert::draft(&wire, None)
    {
        let payload = std::str::from_utf8(&draft.payload.bytes).expect("a part of a text is text");
        assert!(text.contains(payload));
    }
    if let Ok(mut fields) = Fields::of_body(input) {
        let _ = fields.list("ids", 1_000);
        let _ = fields.take::<String>("author");
        let _ = Params::of_fields(fields).and_then(|params| history::parse(params, 1_000));
    }
    let _ = scope(text);
}
