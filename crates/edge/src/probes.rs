//! What machines ask about the program: is it alive, does it take work, how does it do.

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use prometheus_client::{encoding::text, registry::Registry};
use std::sync::Arc;

/// Says whether the program takes work now; the text says why not, in words for an operator.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// `/healthz`: the program answers. `/readyz`: it takes work, else 503 with the reason. `/metrics`: Prometheus text.
pub fn probes(readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut body = String::new();
    match text::encode(&mut body, &registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, TYPE)], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
