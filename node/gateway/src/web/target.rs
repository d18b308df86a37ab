//! Which canister a request is for: by its host name, or by `?canisterId=`.

use crate::failure::Failure;
use axum::http::{HeaderMap, Uri, header};
use mains_types::{CanisterId, Principal};

/// The query parameter that names a canister on the node's own host names.
const CANISTER_PARAMETER: &str = "canisterId";
/// The label between a canister's id and the domain that asks for its answers unverified.
const RAW_LABEL: &str = "raw";
/// Paths that are the node's on every host name, so that a canister's page reaches the interface at its own origin.
const INTERFACE_PATHS: [&str; 4] = ["/api/v2/", "/api/v3/", "/api/v4/", "/api/mains/"];
/// Paths that are the node's wherever no canister is named.
const NODE_PATHS: [&str; 2] = ["/health/", "/metrics"];

/// A canister as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The canister.
    pub(crate) canister: CanisterId,
    /// Whether its answers are served unverified.
    pub(crate) is_raw: bool,
    /// Whether its pages share their origin with the node and with other canisters.
    pub(crate) is_shared: bool,
}

/// The canister that the request is for; `None`: it is for the node.
///
/// `<id>.<domain>` and `<id>.raw.<domain>` name one for each of `domains`, `?canisterId=<id>` does on any other host.
///
/// # Errors
/// A host below one of `domains`, or a parameter, that names no canister.
pub(crate) fn target(headers: &HeaderMap, uri: &Uri, domains: &[String]) -> Result<Option<Target>, Failure> {
    if INTERFACE_PATHS.iter().any(|prefix| uri.path().starts_with(prefix)) {
        return Ok(None);
    }
    let host = host(headers, uri);
    let labels = domains.iter().find_map(|domain| host.strip_suffix(domain.as_str())?.strip_suffix('.'));
    if let Some(labels) = labels {
        let (id, is_raw) = match labels.rsplit_once('.') {
            Some((id, RAW_LABEL)) => (id, true),
            _ => (labels, false),
        };
        return match Principal::from_text(id) {
            Ok(canister) => Ok(Some(Target { canister, is_raw, is_shared: false })),
            Err(_) if is_the_nodes(uri.path()) => Ok(None),
            Err(_) => Err(Failure::HostWithoutCanister { host: host.chars().take(100).collect() }),
        };
    }
    let Some(text) = parameter(uri.query().unwrap_or_default()) else { return Ok(None) };
    let canister =
        Principal::from_text(text).map_err(|_| Failure::NotAPrincipal { text: text.chars().take(100).collect() })?;
    Ok(Some(Target { canister, is_raw: false, is_shared: true }))
}

fn is_the_nodes(path: &str) -> bool {
    NODE_PATHS.iter().any(|prefix| path.starts_with(prefix))
}

/// The host name in lower case, without port and trailing dot.
fn host(headers: &HeaderMap, uri: &Uri) -> String {
    let named = uri.host().or_else(|| headers.get(header::HOST)?.to_str().ok()).unwrap_or_default();
    let name = match named.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => named,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn parameter(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix(CANISTER_PARAMETER)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const ID: &str = "rwlgt-iiaaa-aaaaa-aaaaa-cai";

    fn of(host: &str, path: &str) -> Result<Option<Target>, Failure> {
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host).unwrap())]);
        target(&headers, &path.parse().unwrap(), &["localhost".into(), "example.org".into()])
    }

    fn found(host: &str, path: &str) -> (bool, bool) {
        let target = of(host, path).unwrap().expect("it is for a canister");
        assert_eq!(target.canister.to_text(), ID);
        (target.is_raw, target.is_shared)
    }

    #[test]
    fn a_host_name_below_a_domain_names_the_canister() {
        assert_eq!(found(&format!("{ID}.localhost:4950"), "/"), (false, false));
        assert_eq!(found(&format!("{}.LOCALHOST.", ID.to_uppercase()), "/a?b"), (false, false));
        assert_eq!(found(&format!("{ID}.raw.example.org"), "/"), (true, false));
    }

    #[test]
    fn elsewhere_the_parameter_does() {
        assert_eq!(found("127.0.0.1:4950", &format!("/x?a=1&canisterId={ID}")), (false, true));
        assert_eq!(found("[::1]:4950", &format!("/?canisterId={ID}&id=aaaaa-aa")), (false, true));
        assert!(matches!(of("127.0.0.1", "/?canisterId=no"), Err(Failure::NotAPrincipal { .. })));
        assert_eq!(of("127.0.0.1", "/?mycanisterId=no").unwrap(), None);
    }

    #[test]
    fn the_interface_is_reached_on_every_host_name_and_the_nodes_pages_on_its_own() {
        for path in ["/api/v2/status", "/api/v4/canister/aaaaa-aa/call", "/api/mains/v1/status"] {
            for host in ["localhost:4950", &format!("{ID}.localhost"), "nobody.localhost"] {
                assert_eq!(of(host, path).unwrap(), None, "{host}{path}");
            }
        }
        for path in ["/", "/health/ready", "/metrics"] {
            assert_eq!(of("localhost", path).unwrap(), None);
        }
        assert_eq!(of("node1.localhost", "/health/ready").unwrap(), None);
        // Canisters have paths of these names, too.
        assert_eq!(found(&format!("{ID}.localhost"), "/metrics"), (false, false));
        assert_eq!(found(&format!("{ID}.localhost"), "/api/users"), (false, false));
    }

    #[test]
    fn a_host_name_that_is_no_id_is_refused() {
        for host in ["hello.localhost", "raw.localhost", &format!("www.{ID}.localhost")] {
            assert!(matches!(of(host, "/"), Err(Failure::HostWithoutCanister { .. })), "{host}");
        }
        assert_eq!(of("notlocalhost", "/").unwrap(), None);
    }
}
