//! Canisters' pages through the gateway of a real replica: a certified site in a canister, and whatever can be in the way.

use anyhow::{Result, ensure};
use mains_conformance::{Network, Suite, manage, shipped};
use mains_types::{CanisterId, Cycles, Principal};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use std::time::Duration;

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 30_000;
/// Bytes of the site's largest file (`sdk/examples/assets-rust`).
const LARGE_BYTES: usize = 5_000_000;

#[test]
fn canisters_have_pages_that_are_what_they_certified() {
    mains_conformance::run(async {
        let network = Network::start(NODE, FIRST_PORT).await.expect("four replicas start");
        let site = Site::new(&network).await.expect("the site is installed");
        let mut suite = Suite::new(&network);
        suite.case("pages: files, types, encodings, a redirect, a certified 404", site.files()).await;
        suite.case("pages: a file larger than an answer, whole, by part and by HEAD", site.large()).await;
        suite.case("pages: a file through a streaming callback, certified as a whole", site.pieces()).await;
        suite.case("pages: a POST becomes an update call", site.visits()).await;
        suite.case("pages: an uncertified answer is refused and shown on the raw host", site.uncertified()).await;
        suite.case("pages: every replica serves them, and by parameter", site.everywhere()).await;
        suite.case("pages: the interface at a canister's own origin", site.interface()).await;
        suite.case("pages: why there is none is said", site.none()).await;
        suite.finish();
    });
}

/// The site and a client that follows no redirects and decodes nothing.
struct Site<'n> {
    network: &'n Network,
    http: Client,
    canister: CanisterId,
}

impl<'n> Site<'n> {
    async fn new(network: &'n Network) -> Result<Self> {
        let canister = manage::create_with(&network.client(0)?, &shipped::module("assets-rust")?).await?;
        network.agree().await?;
        let http = Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(30)).build()?;
        Ok(Self { network, http, canister })
    }

    /// A request to a replica under the host name of `canister`.
    fn request(&self, replica: usize, method: Method, canister: &str, path: &str) -> RequestBuilder {
        let url = self.network.url(replica);
        let port = url.rsplit(':').next().unwrap_or_default();
        self.http.request(method, format!("{url}{path}")).header("host", format!("{canister}.localhost:{port}"))
    }

    async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.request(0, Method::GET, &self.canister.to_text(), path).send().await?)
    }

    async fn files(&self) -> Result<()> {
        for (path, kind) in [
            ("/", "text/html"),
            ("/style.css", "text/css"),
            ("/script.js", "text/javascript"),
            ("/icon.svg", "image/svg+xml"),
        ] {
            let response = self.get(path).await?;
            expect(&response, 200, path)?;
            ensure!(header(&response, "content-type") == kind, "{path}: {:?}", response.headers());
            ensure!(header(&response, "x-ic-canister-id") == self.canister.to_text(), "whose page is {path}?");
            ensure!(!response.bytes().await?.is_empty(), "{path} is empty");
        }
        let zipped = self.request(0, Method::GET, &self.canister.to_text(), "/").header("accept-encoding", "gzip, br");
        let zipped = zipped.send().await?;
        ensure!(header(&zipped, "content-encoding") == "gzip", "{:?}", zipped.headers());
        ensure!(zipped.bytes().await?.starts_with(&[0x1f, 0x8b]), "not gzip");
        let moved = self.get("/home").await?;
        expect(&moved, 307, "/home")?;
        ensure!(header(&moved, "location") == "/", "{:?}", moved.headers());
        let missing = self.get("/no/such/page").await?;
        expect(&missing, 404, "/no/such/page")?;
        ensure!(missing.text().await?.contains("Nothing here"), "not the site's own page");
        Ok(())
    }

    async fn large(&self) -> Result<()> {
        let whole = self.get("/large.txt").await?;
        expect(&whole, 200, "/large.txt")?;
        ensure!(header(&whole, "content-length") == LARGE_BYTES.to_string(), "{:?}", whole.headers());
        let whole = whole.bytes().await?;
        ensure!(counts(&whole), "the whole is not as it was written");
        let own = self.canister.to_text();
        let part = self.request(0, Method::GET, &own, "/large.txt").header("range", "bytes=2000000-").send().await?;
        expect(&part, 206, "a part")?;
        let range = header(&part, "content-range");
        ensure!(range == format!("bytes 2000000-3999999/{LARGE_BYTES}"), "{range}");
        ensure!(part.bytes().await? == whole[2_000_000..4_000_000], "the part is not of the whole");
        let head = self.request(0, Method::HEAD, &own, "/large.txt").send().await?;
        expect(&head, 200, "HEAD")?;
        ensure!(header(&head, "content-length") == LARGE_BYTES.to_string(), "{:?}", head.headers());
        Ok(())
    }

    async fn pieces(&self) -> Result<()> {
        let response = self.get("/pieces.txt").await?;
        expect(&response, 200, "/pieces.txt")?;
        let body = response.bytes().await?;
        ensure!(body.len() == 400_000 && counts(&body), "{} bytes", body.len());
        Ok(())
    }

    async fn visits(&self) -> Result<()> {
        let mut counted = Vec::new();
        for replica in 0..4 {
            let visit = self.request(replica, Method::POST, &self.canister.to_text(), "/visits").send().await?;
            expect(&visit, 200, "/visits")?;
            counted.push(visit.text().await?);
        }
        ensure!(counted == ["1", "2", "3", "4"], "{counted:?}");
        Ok(())
    }

    async fn uncertified(&self) -> Result<()> {
        fails(self.get("/uncertified.txt").await?, 502, "MAINS-1408").await?;
        let raw = format!("{}.raw", self.canister);
        let raw = self.request(0, Method::GET, &raw, "/uncertified.txt").send().await?;
        expect(&raw, 200, "raw")?;
        ensure!(raw.text().await? == "one replica says so\n", "another text");
        Ok(())
    }

    async fn everywhere(&self) -> Result<()> {
        for replica in 0..4 {
            let page = self.request(replica, Method::GET, &self.canister.to_text(), "/style.css").send().await?;
            expect(&page, 200, "/style.css")?;
            let url = format!("{}/style.css?canisterId={}", self.network.url(replica), self.canister);
            expect(&self.http.get(url).send().await?, 200, "by parameter")?;
        }
        Ok(())
    }

    async fn interface(&self) -> Result<()> {
        let own = self.canister.to_text();
        for path in ["/api/v2/status", "/api/mains/v1/status"] {
            let response = self.request(0, Method::GET, &own, path).send().await?;
            expect(&response, 200, path)?;
            ensure!(header(&response, "x-ic-canister-id").is_empty(), "{path} went to the canister");
        }
        Ok(())
    }

    async fn none(&self) -> Result<()> {
        let client = self.network.client(0)?;
        let ask = |canister: String| async move { self.request(0, Method::GET, &canister, "/").send().await };
        let nobody = Principal::from_slice(&[0xff, 0xff, 0, 0, 0, 0, 0, 1, 1, 1]).to_text();
        fails(ask(nobody).await?, 404, "MAINS-1301").await?;
        fails(ask("hello".into()).await?, 400, "MAINS-1401").await?;
        fails(ask(Principal::management_canister().to_text()).await?, 404, "MAINS-1405").await?;
        let empty = manage::create(&client, Cycles(1_000_000_000_000)).await?;
        fails(ask(empty.to_text()).await?, 503, "MAINS-1402").await?;
        let counter = manage::create_with(&client, &shipped::Counter::Rust.module()?).await?;
        fails(ask(counter.to_text()).await?, 404, "MAINS-1405").await?;
        manage::stop(&client, counter).await?;
        fails(ask(counter.to_text()).await?, 503, "MAINS-1403").await
    }
}

/// Whether the lines are 0, 1, 2, …
fn counts(body: &[u8]) -> bool {
    let lines = body.strip_suffix(b"\n").unwrap_or_default().split(|byte| *byte == b'\n');
    lines.enumerate().all(|(index, line)| line == format!("{index:07}").as_bytes())
}

/// A header's value, empty if there is none.
fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn expect(response: &Response, status: u16, what: &str) -> Result<()> {
    ensure!(response.status().as_u16() == status, "{what}: {} {:?}", response.status(), response.headers());
    Ok(())
}

async fn fails(response: Response, status: u16, code: &str) -> Result<()> {
    expect(&response, status, code)?;
    let text = response.text().await?;
    ensure!(text.contains(code), "{text}");
    Ok(())
}
