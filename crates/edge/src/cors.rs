//! Browsers from any origin may call: rights come from keys and tokens, never from cookies.

use http::{HeaderName, header};
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

/// How long a browser may remember the answer.
const MAX_AGE: Duration = Duration::from_secs(86_400);

pub(crate) fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE, HeaderName::from_static(crate::REQUEST_ID)])
        .max_age(MAX_AGE)
}
