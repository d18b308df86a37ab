//! The status page: one embedded file without outside references.

use crate::server::Gateway;
use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

const PAGE: &str = include_str!("../page/index.html");

/// Scripts and styles only from the page itself; data from this node and, to compare replicas, from other gateways.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                      connect-src 'self' http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/", get(page))
}

async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for reference in ["src=\"http", "href=\"http", "@import", "url(http"] {
            assert!(!PAGE.contains(reference), "{reference} in the page");
        }
    }
}
