//! Answers that are checked, whole ones.

use super::{
    own,
    script::{Gateway, NOW, NUMBER, certificate, plain, raw_host, request_of},
};
use crate::failure::Failure;
use axum::http::{Request, StatusCode, header};
use candid::Encode;
use ic_asset_certification::{Asset, AssetConfig, AssetEncoding, AssetFallbackConfig, AssetRedirectKind, AssetRouter};
use ic_certification::{HashTree, labeled, leaf};
use ic_http_certification::{
    HttpRequest, HttpResponse,
    utils::{add_skip_certification_header, add_v2_certificate_header, skip_certification_certified_data},
};
use mains_types::{UnixNanos, ids::canister_id};

const PAGE: &[u8] = b"<h1>certified</h1>";
const ZIPPED: &[u8] = b"\x1f\x8b zipped";

/// A site as canisters build one.
fn site() -> AssetRouter<'static> {
    let mut router = AssetRouter::default();
    let assets = vec![
        Asset::new("index.html", PAGE),
        Asset::new("index.html.gz", ZIPPED),
        Asset::new("404.html", b"nothing".as_slice()),
    ];
    let file = |path: &str, fallback_for, aliased_by, encodings| AssetConfig::File {
        path: path.into(),
        content_type: Some("text/html".into()),
        headers: vec![("cache-control".into(), "no-cache".into())],
        fallback_for,
        aliased_by,
        encodings,
    };
    let missing = AssetFallbackConfig { scope: "/".into(), status_code: Some(StatusCode::NOT_FOUND) };
    let configs = vec![
        file("index.html", vec![], vec!["/".into()], vec![AssetEncoding::Gzip.default_config()]),
        file("404.html", vec![missing], vec![], vec![]),
        AssetConfig::Redirect {
            from: "/old".into(),
            to: "/index.html".into(),
            kind: AssetRedirectKind::Permanent,
            headers: vec![],
        },
    ];
    router.certify_assets(assets, configs).unwrap();
    router
}

/// The site's answer, under a certificate of `time`.
fn served(request: &HttpRequest<'_>, time: UnixNanos) -> HttpResponse<'static> {
    let site = site();
    let certificate = certificate(canister_id(NUMBER), &site.root_hash(), time);
    site.serve_asset(&certificate, request).unwrap()
}

#[tokio::test]
async fn a_certified_page_passes_with_its_certified_headers() {
    let gateway = Gateway::answering(|request| served(request, NOW));
    let answered = gateway.get("/").await;
    assert_eq!((answered.status, answered.text().as_bytes()), (StatusCode::OK, PAGE));
    assert_eq!(answered.header("content-type"), Some("text/html"));
    assert_eq!(answered.header("cache-control"), Some("no-cache"));

    let zipped = gateway.send(own(Request::get("/")).header("accept-encoding", "gzip")).await;
    assert_eq!(zipped.body.as_deref(), Some(ZIPPED));
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));

    let missing = gateway.get("/nowhere").await;
    assert_eq!((missing.status.as_u16(), missing.text().as_str()), (404, "nothing"));
    let moved = gateway.get("/old").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (301, Some("/index.html")));
}

#[tokio::test]
async fn a_head_request_gets_the_head() {
    let gateway = Gateway::answering(|request| served(request, NOW));
    let answered = gateway.send(own(Request::head("/"))).await;
    assert_eq!((answered.status, answered.text().as_str()), (StatusCode::OK, ""));
    assert_eq!(answered.header("content-length"), Some(PAGE.len().to_string().as_str()));
}

#[tokio::test]
async fn whatever_is_not_certified_is_shown_on_the_raw_host_only() {
    type Forge = fn(&HttpRequest<'_>) -> HttpResponse<'static>;
    let forgeries: [(&str, Forge); 8] = [
        ("no certificate at all", |_| plain(200, &[], PAGE)),
        ("another body", |request| altered(served(request, NOW), 200, b"forged")),
        ("one more header", |request| {
            let mut answer = served(request, NOW);
            answer.add_header(("x-forged".into(), "1".into()));
            answer
        }),
        ("another status", |request| altered(served(request, NOW), 500, PAGE)),
        ("another page's certificate", |_| served(&HttpRequest::get("/old").build(), NOW)),
        ("an old certificate", |request| served(request, UnixNanos(NOW.get() - 301_000_000_000))),
        ("another canister's certificate", |request| {
            let site = site();
            let certificate = certificate(canister_id(NUMBER + 1), &site.root_hash(), NOW);
            site.serve_asset(&certificate, request).unwrap()
        }),
        ("another tree than certified", |request| {
            let certificate = certificate(canister_id(NUMBER), &[7; 32], NOW);
            site().serve_asset(&certificate, request).unwrap()
        }),
    ];
    for (name, forge) in forgeries {
        let gateway = Gateway::answering(forge);
        let refused = gateway.get("/").await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (502, "MAINS-1408"), "{name}");
        let raw = gateway.send(Request::get("/").header(header::HOST, raw_host())).await;
        assert_ne!(raw.header("x-ic-canister-id"), None, "{name}");
    }
}

fn altered(answer: HttpResponse<'static>, status: u16, body: &[u8]) -> HttpResponse<'static> {
    HttpResponse::builder()
        .with_status_code(StatusCode::from_u16(status).unwrap())
        .with_headers(answer.headers().to_vec())
        .with_body(body.to_vec())
        .build()
}

#[tokio::test]
async fn a_certificate_of_another_key_proves_nothing() {
    let gateway = Gateway::answering(|request| {
        let site = site();
        let mut certificate = certificate(canister_id(NUMBER), &site.root_hash(), NOW);
        let last = certificate.len() - 1;
        certificate[last] ^= 1;
        site.serve_asset(&certificate, request).unwrap()
    });
    assert_eq!(gateway.get("/").await.code(), "MAINS-1408");
}

/// The answer with version 1's certificate header: the body's hash at the request's path.
fn version_1(request: &HttpRequest<'_>, mut answer: HttpResponse<'static>) -> HttpResponse<'static> {
    use sha2::{Digest, Sha256};
    let tree: HashTree =
        labeled("http_assets", labeled(request.get_path().unwrap(), leaf(Sha256::digest(answer.body()).to_vec())));
    let certificate = certificate(canister_id(NUMBER), &tree.digest(), NOW);
    add_v2_certificate_header(&certificate, &mut answer, &tree, &[]);
    let (_, header) = answer.headers_mut().last_mut().unwrap();
    header.truncate(header.find(", expr_path").unwrap());
    answer
}

#[tokio::test]
async fn version_1_certifies_the_body_and_nothing_else() {
    let gateway = Gateway::answering(|request| match request.url() {
        "/moved" => version_1(request, plain(302, &[("Location", "/elsewhere")], b"moved")),
        _ => version_1(request, plain(200, &[("Content-Type", "text/plain"), ("Set-Cookie", "a=1")], b"old but true")),
    });
    let answered = gateway.get("/").await;
    assert_eq!((answered.status.as_u16(), answered.text().as_str()), (200, "old but true"));
    assert_eq!(answered.header("content-type"), Some("text/plain"));
    assert_eq!(answered.header("set-cookie"), None);
    assert_eq!(gateway.get("/moved").await.code(), "MAINS-1408");
    let forged = Gateway::answering(|request| altered(version_1(request, plain(200, &[], b"true")), 200, b"false"));
    assert_eq!(forged.get("/").await.code(), "MAINS-1408");
}

#[tokio::test]
async fn a_canister_may_certify_that_it_does_not_certify() {
    let act = |certified: [u8; 32]| {
        move |_: &str, argument: &[u8]| -> Result<Vec<u8>, Failure> {
            let mut answer = plain(200, &[("X-Any", "1")], request_of(argument).url().as_bytes());
            add_skip_certification_header(certificate(canister_id(NUMBER), &certified, NOW), &mut answer);
            Ok(Encode!(&answer).unwrap())
        }
    };
    let answered = Gateway::new(act(skip_certification_certified_data())).get("/anything").await;
    assert_eq!((answered.text().as_str(), answered.header("x-any")), ("/anything", Some("1")));
    assert_eq!(Gateway::new(act([7; 32])).get("/anything").await.code(), "MAINS-1408");
}
